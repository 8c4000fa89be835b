// What opening, verifying and recovering files takes, in a process of their own, as one JSON object a line. `ms` is CPU
// time, `mib` how much higher the most memory ever used has become.
import { readFileSync } from 'node:fs';
import { BytesSink, BytesSource, isGametapeError, RecordingReader } from '@gametape/shared';
import { NODE_COMPRESSION } from '../../server/dist/node-compression.js';
import { recoverRecording } from '../../server/dist/recording/recover-recording.js';
import { verifyRecording } from '../../server/dist/recording/verify.js';

const paths = process.argv.slice(2);
const VERBS = {
  async open(source) {
    const reader = await RecordingReader.open(source, NODE_COMPRESSION);
    for await (const _ of reader.steps()) {
      // Read to its end.
    }
    return 'read';
  },
  async verify(source) {
    const { intact, problems } = await verifyRecording(source);
    return intact ? 'intact' : (problems[0]?.message ?? '');
  },
  async recover(source) {
    const { entries, lost } = await recoverRecording(source, new BytesSink());
    return `recovered ${entries}, lost ${lost.length}`;
  },
};
for (const path of paths) {
  const bytes = new Uint8Array(readFileSync(path));
  for (const [what, run] of Object.entries(VERBS)) {
    const before = process.resourceUsage().maxRSS;
    const startedAt = process.cpuUsage();
    let result;
    try {
      result = await run(new BytesSource(bytes));
    } catch (error) {
      result = isGametapeError(error) ? `${error.code} ${error.message}` : `UNEXPECTED ${error.stack}`;
    }
    const { user, system } = process.cpuUsage(startedAt);
    const ms = (user + system) / 1_000;
    const mib = (process.resourceUsage().maxRSS - before) / 1024;
    console.log(JSON.stringify({ path, what, ms, mib, result: result.slice(0, 300) }));
  }
}
