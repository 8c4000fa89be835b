import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import type { UnfinishedRecording } from '../journal/unfinished-summary.ts';
import { NODE_COMPRESSION } from '../node-compression.ts';
import { formatCount, plainText, tableLines } from './table.ts';
import { printLine, say } from './terminal.ts';

const EXAMPLES = `
Examples:
  gametape rooms --data ./.gametape
  gametape rooms --redis redis://127.0.0.1:6379 --json

A relay that starts with the same --data or --redis brings all of them back that no other relay has.`;

interface RoomsOptions {
  readonly data: string;
  readonly redis?: string;
  readonly json?: true;
}

export function addRooms(program: Command): void {
  program
    .command('rooms')
    .summary('what a journal has that is not finished')
    .description(
      'Lists the rooms that a journal can bring back: those that are played in, and those that a relay left.',
    )
    .addOption(new Option('--data <dir>', 'data directory of a relay').default('./.gametape').conflicts('redis'))
    .option('--redis <url>', 'the Redis that relays share')
    .option('--json', 'one JSON object on stdout')
    .addHelpText('after', EXAMPLES)
    .action(rooms);
}

async function rooms({ data, redis, json }: RoomsOptions): Promise<void> {
  const found = await list(data, redis);
  if (json) {
    await printLine(
      JSON.stringify({ rooms: found.map((one) => ({ ...one, owner: one.owner ?? null, lastAt: one.lastAt ?? null })) }),
    );
    return;
  }
  if (found.length === 0) say('Nothing is unfinished.');
  else for (const line of toTable(found)) await printLine(line);
}

async function list(data: string, redis: string | undefined): Promise<UnfinishedRecording[]> {
  if (redis === undefined) {
    const { listFileJournal } = await import('../journal/list-file-journal.ts');
    return await listFileJournal(resolve(data), NODE_COMPRESSION);
  }
  // The other verbs start quicker without a client of Redis to load.
  const { listRedis } = await import('../journal/list-redis.ts');
  return await listRedis(redis, NODE_COMPRESSION);
}

function toTable(found: readonly UnfinishedRecording[]): string[] {
  const columns = [
    { title: 'room', align: 'left' },
    { title: 'recording', align: 'left' },
    { title: 'entries' },
    { title: 'missing' },
    { title: 'last', align: 'left' },
    { title: 'owner', align: 'left' },
  ] as const;
  const rows = found.map(({ room, recordingId, events, missing, lastAt, owner }) => {
    return [
      plainText(room),
      recordingId,
      formatCount(events),
      formatCount(missing),
      lastAt ?? 'never',
      plainText(owner ?? '', 64),
    ];
  });
  return tableLines(columns, rows);
}
