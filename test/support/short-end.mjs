import { DEFAULT_RELAY_OPTIONS } from '../../server/dist/options.js';

// For `node --import`: a room that ends does not wait for long for who never comes back. The verb has no option for it.
DEFAULT_RELAY_OPTIONS.endTimeoutMs = 500;
