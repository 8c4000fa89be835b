import { describe, expect, test } from 'vitest';
import { PlayerCheck, type PlayerLog } from './player-check.ts';
import { Witness } from './witness.ts';

const LOG: PlayerLog = {
  id: 'a',
  typed: ['x', 'y', 'z', 'w'],
  accepted: 3,
  stable: 2,
  state: { text: 'xyzw', n: 4 },
};

describe('the check of a player', () => {
  test('says nothing of what is right', () => {
    expect(check([1, 2, 3, 4])).toEqual([]);
  });

  test.each([
    ['an event that is gone', [1, 2, 3], ['lost: 1']],
    ['one that was accepted', [1, 2, 4], ['lost: 1', 'lostAccepted: 1']],
    ['one that was stable', [1, 3, 4], ['lost: 1', 'lostAccepted: 1', 'lostStable: 1']],
    ['one that is there twice', [1, 2, 2, 3, 4], ['twice: 1']],
    ['two that changed places', [1, 3, 2, 4], ['outOfOrder: 1']],
    ['one that nobody made', [1, 2, 3, 4, 5], ['wrong: 1']],
    ['the number 0', [0, 1, 2, 3, 4], ['wrong: 1']],
  ])('finds %s', (_, recorded, problems) => {
    expect(check(recorded)).toEqual(problems);
  });

  test('finds data that are not those that were typed, and the event that is missing by it', () => {
    const checked = new PlayerCheck(LOG);
    for (const n of [1, 2, 3]) checked.take({ n, char: LOG.typed[n - 1] });
    checked.take({ n: 4, char: 'v' });
    expect(checked.finish(LOG.state)).toEqual(['lost: 1', 'wrong: 1']);
  });

  test('finds another state at the end', () => {
    expect(check([1, 2, 3, 4], { text: 'xyz', n: 4 })).toEqual(['another state at the end']);
    expect(check([1, 2, 3, 4], null)).toEqual(['another state at the end']);
  });
});

describe('the witness of what was promised', () => {
  test('[W3] counts what was accepted and stable and is gone with the next welcome, once', () => {
    const witness = new Witness();
    witness.hear(welcome(0));
    witness.hear({ kind: 'ack', acks: { accepted: 10, stable: 8 } });
    witness.hear(welcome(7));
    expect(witness).toMatchObject({ lostAccepted: 3, lostStable: 1, accepted: 7, stable: 7, welcomes: 2 });
    witness.hear(welcome(7));
    expect(witness).toMatchObject({ lostAccepted: 3, lostStable: 1 });
  });

  test('[W3] counts nothing while promises are kept', () => {
    const witness = new Witness();
    witness.hear({ kind: 'ack', acks: { accepted: 10, stable: 8 } });
    witness.hear(welcome(12));
    expect(witness).toMatchObject({ lostAccepted: 0, lostStable: 0, accepted: 12, stable: 8 });
  });
});

function check(recorded: readonly number[], state: unknown = LOG.state): string[] {
  const checked = new PlayerCheck(LOG);
  for (const n of recorded) checked.take({ n, char: LOG.typed[n - 1] });
  return checked.finish(state);
}

function welcome(lastPseq: number): Parameters<Witness['hear']>[0] {
  return {
    kind: 'welcome',
    protocol: 1,
    recordingId: '01HF7YAT01040G2081040G2081',
    lastPseq,
  } as unknown as Parameters<Witness['hear']>[0];
}
