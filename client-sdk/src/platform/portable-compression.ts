/** A module of its own, which a bundler can keep apart from what a page loads at once. */
export { PORTABLE_COMPRESSION } from '@gametape/shared';
