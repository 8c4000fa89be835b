/** Faults that the simulation has to find: each is a text of a built file and what it becomes. */
export const MUTATIONS = {
  // W3: the SDK forgets one message more than is stable.
  'release-too-much': {
    file: 'client-sdk/dist/outbox.js',
    find: 'this.#queue.release(stable);',
    replace: 'this.#queue.release(stable + 1);',
  },
  // W3: it forgets what is only accepted.
  'release-accepted': {
    file: 'client-sdk/dist/outbox.js',
    find: 'this.#accepted = accepted;\n            this.#underWay = 0;',
    replace: 'this.#accepted = accepted;\n            this.#underWay = 0;\n            this.#queue.release(accepted);',
  },
  // W2: after a reconnection it starts one event too late.
  'resend-too-late': {
    file: 'client-sdk/dist/outbox.js',
    find: 'this.resendAfter(pseq);\n    }\n    resendAfter',
    replace: 'this.resendAfter(pseq + 1);\n    }\n    resendAfter',
  },
  // W2: after a reconnection it sends nothing again.
  'resend-nothing': {
    file: 'client-sdk/dist/outbox.js',
    find: 'this.resendAfter(pseq);\n    }\n    resendAfter',
    replace: 'this.send();\n    }\n    resendAfter',
  },
  // W2: the relay records again what comes again.
  'no-dedupe': {
    file: 'server/dist/room/room.js',
    find: 'if (pseq <= context.pseq)',
    replace: 'if (pseq < context.pseq)',
  },
  // W2: it takes what comes too early.
  'no-expect': {
    file: 'server/dist/room/room.js',
    find: 'if (firstPseq > context.pseq + 1) {\n            seat.receiver?.expect(context.pseq + 1, firstPseq);\n            return;\n        }',
    replace: '',
  },
  // W3: an ack before the write.
  'accept-first': {
    file: 'server/dist/journal/log-writer.js',
    find: 'await writer.write(batch.blocks);\n            batch.accept();',
    replace: 'batch.accept();\n            await writer.write(batch.blocks);',
  },
  // J1: stable without a sync.
  'no-sync': {
    file: 'server/dist/journal/segment-writer.js',
    find: 'await this.#file.datasync();',
    replace: '',
  },
  // J5: a sync that failed is tried once more on the same descriptor.
  'sync-again': {
    file: 'server/dist/journal/segment-writer.js',
    find: 'await this.#file.datasync();',
    replace: 'await this.#file.datasync().catch(() => this.#file.datasync());',
  },
  // J1: blocks in the log are let go of before the sealed block is stable.
  'release-before-seal': {
    file: 'server/dist/journal/unfinished-file.js',
    find: 'await file.datasync();',
    replace: '',
  },
  // J6: the name of a new segment is not stable.
  'no-directory-sync': {
    file: 'server/dist/journal/segment-writer.js',
    find: 'await files.syncDirectory(dirname(segment.path));',
    replace: '',
  },
  // W9: the end of an old socket is taken for that of the one that superseded it.
  'old-socket-counts': {
    file: 'server/dist/room/membership.js',
    find: 'if (seat.receiver?.peer !== peer)\n            return;',
    replace: '',
  },
  // W4: events are shown before they are in the journal.
  'show-first': {
    file: 'server/dist/room/room.js',
    find: 'broadcast.showUpTo(mark.seq);',
    replace: 'broadcast.showUpTo(this.recording.headSeq);',
  },
  // J4: what comes after a hole in the journal is taken for whole.
  'ignore-holes': {
    file: 'server/dist/room/room-recovery.js',
    find: 'return producer.isCut;',
    replace: 'return false;',
  },
  // J4: the last block of the log is left out when a room is recovered.
  'forget-last': {
    file: 'server/dist/journal/file-journal.js',
    find: 'yield* this.#appendedBlocks(places);',
    replace: 'yield* this.#appendedBlocks(places.slice(0, -1));',
  },
  // J5: the last sealed block is believed to be on the disk when a process is gone.
  'trust-page-cache': {
    file: 'server/dist/journal/journal-directory.js',
    find: 'await change(files, path, (file) => writeAll(file, [last], from));',
    replace: '',
  },
  // J4: a recording id is told before it is stable.
  'welcome-first': {
    file: 'server/dist/room/membership.js',
    find: 'await room.output.founded();',
    replace: 'await room.output.flushed();',
  },
};
