import { readFile } from 'node:fs/promises';
import { isGametapeError } from '@gametape/shared';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { OPCODES } from '../../server/dist/pickle/opcodes.js';
import { readPickle } from '../../server/dist/pickle/read-pickle.js';
import { runningTime } from '../support/running-time.ts';
import { fileWithEvent, importBinary, named, partsOf, pickle, text, u32, V1_FILE } from './pickle-maker.ts';
import { failureOf } from './session-maker.ts';

const MARK = '(';
const SYSTEM = 'Vtouch /tmp/gametape-was-here\n';
const GAME_STATE = named('m', 'GameState');
const EVENT_TYPE = named('m', 'EventType');
/** An object of the seed's, ready for its fields. */
const OBJECT = pickle(GAME_STATE, ')', 0x81);
const length = (bytes: Uint8Array) => bytes.length;

/** What it is, its bytes, the opcode that is refused and where that is. */
const HOSTILE: readonly (readonly [name: string, bytes: Uint8Array, opcode: string, offset: number])[] = [
  ['os.system by GLOBAL and REDUCE', pickle(`cos\nsystem\n(${SYSTEM}tR.`), 'GLOBAL', 0],
  ['posix.system', pickle(0x80, 2, `cposix\nsystem\n(${SYSTEM}tR.`), 'GLOBAL', 2],
  ['os.system by STACK_GLOBAL', pickle(0x80, 4, named('os', 'system'), text('ls'), 0x85, 'R.'), 'STACK_GLOBAL', 14],
  ['os.system by INST', pickle(`(${SYSTEM}ios\nsystem\n.`), 'INST', 1 + SYSTEM.length],
  ['a known class by INST', pickle('(im\nGameState\n.'), 'INST', 1],
  ['os.system by OBJ', pickle(`(cos\nsystem\n${SYSTEM}o.`), 'GLOBAL', 1],
  ['a known class by OBJ', pickle(MARK, GAME_STATE, 'o.'), 'OBJ', 1 + length(GAME_STATE)],
  ['NEWOBJ_EX', pickle(GAME_STATE, ')}', 0x92, '.'), 'NEWOBJ_EX', length(GAME_STATE) + 2],
  ['NEWOBJ of an enum', pickle(EVENT_TYPE, ')', 0x81, '.'), 'NEWOBJ', length(EVENT_TYPE) + 1],
  ['NEWOBJ with arguments', pickle(GAME_STATE, text('x'), 0x85, 0x81, '.'), 'NEWOBJ', length(GAME_STATE) + 4],
  ['NEWOBJ of a text', pickle(text('x'), ')', 0x81, '.'), 'NEWOBJ', 4],
  ['builtins.eval', pickle(named('builtins', 'eval'), text('1'), 0x85, 'R.'), 'STACK_GLOBAL', 16],
  ['builtins.exec of Python 2', pickle('c__builtin__\neval\n.'), 'GLOBAL', 0],
  ['a name with dots', pickle(named('m', 'GameState.__init__.__globals__'), '.'), 'STACK_GLOBAL', 35],
  ['a module that is none', pickle(named('os;system', 'GameState'), '.'), 'STACK_GLOBAL', 22],
  ['a name of JavaScript', pickle(named('m', 'constructor'), '.'), 'STACK_GLOBAL', 16],
  ['copyreg.__newobj__', pickle(named('copyreg', '__newobj__'), '.'), 'STACK_GLOBAL', 21],
  [
    'copyreg of another base',
    pickle(named('copyreg', '_reconstructor'), MARK, GAME_STATE, GAME_STATE, 'NtR.'),
    'REDUCE',
    26 + 1 + 2 * length(GAME_STATE) + 2,
  ],
  ['copyreg called with nothing', pickle(named('copyreg', '_reconstructor'), ')R.'), 'REDUCE', 27],
  ['getattr of a class', pickle(named('builtins', 'getattr'), GAME_STATE, text('x'), 0x86, 'R.'), 'REDUCE', 39],
  ['getattr of no member', pickle(named('builtins', 'getattr'), EVENT_TYPE, text('mro'), 0x86, 'R.'), 'REDUCE', 41],
  ['an enum called with an enum', pickle(EVENT_TYPE, EVENT_TYPE, 0x85, 'R.'), 'REDUCE', 2 * length(EVENT_TYPE) + 1],
  ['a class called', pickle(GAME_STATE, ')R.'), 'REDUCE', length(GAME_STATE) + 1],
  ['an object called', pickle(OBJECT, ')R.'), 'REDUCE', length(OBJECT) + 1],
  ...['__setstate__', '__dict__', '__class__', '__proto__', 'constructor', 'fields', 'name'].map(
    (key) =>
      [
        `BUILD with ${key}`,
        pickle(OBJECT, '}', text(key), '}sb.'),
        'BUILD',
        length(OBJECT) + 1 + length(text(key)) + 2,
      ] as const,
  ),
  ['BUILD of a dict', pickle('}}b.'), 'BUILD', 2],
  ['BUILD with a tuple', pickle(OBJECT, 'N}', 0x86, 'b.'), 'BUILD', length(OBJECT) + 3],
  ['BUILD with names that are none', pickle(OBJECT, '}K\x01Nsb.'), 'BUILD', length(OBJECT) + 5],
  ['BUILD a second time', pickle(OBJECT, '}b}b.'), 'BUILD', length(OBJECT) + 3],
  ['EXT1', pickle(0x82, 1, ')R.'), 'EXT1', 0],
  ['EXT2', pickle('N', 0x83, 1, 0, '.'), 'EXT2', 1],
  ['EXT4', pickle(0x84, u32(1), '.'), 'EXT4', 0],
  ['PERSID', pickle('P1\n.'), 'PERSID', 0],
  ['BINPERSID', pickle('K\x01Q.'), 'BINPERSID', 2],
  ['NEXT_BUFFER', pickle(0x80, 5, 0x97, '.'), 'NEXT_BUFFER', 2],
  ['READONLY_BUFFER', pickle('N', 0x98, '.'), 'READONLY_BUFFER', 1],
  ['POP', pickle('NN0.'), 'POP', 2],
  ['POP_MARK', pickle('N(1.'), 'POP_MARK', 2],
  ['DUP', pickle('N2', 0x86, '.'), 'DUP', 1],
  ['STRING', pickle("S'a'\n."), 'STRING', 0],
  ['BINSTRING', pickle('T', u32(1), 'a.'), 'BINSTRING', 0],
  ['SHORT_BINSTRING', pickle('U', 1, 'a.'), 'SHORT_BINSTRING', 0],
  ['an opcode that is none', pickle('N', 0xff), 'opcode 0xff', 1],
  ['a protocol of the future', pickle(0x80, 6, 'N.'), 'PROTO', 0],
  ['PROTO in the middle', pickle('N', 0x80, 4, '.'), 'PROTO', 1],
  ['something after STOP', pickle('N.N.'), 'STOP', 1],
  ['two values', pickle('NN.'), 'STOP', 2],
  ['no value', pickle('.'), 'STOP', 0],
  ['STOP within a MARK', pickle('(N.'), 'STOP', 2],
  ['no STOP', pickle('NN'), 'NONE', 1],
  ['a memo that is empty', pickle('h\x00.'), 'BINGET', 0],
  ['a memo of text', pickle('g-1\n.'), 'GET', 0],
  ['nothing to remember', pickle(0x94, '.'), 'MEMOIZE', 0],
  ['TUPLE without MARK', pickle('Nt.'), 'TUPLE', 1],
  ['TUPLE3 with two', pickle('NN', 0x87, '.'), 'TUPLE3', 2],
  ['APPEND to a dict', pickle('}Na.'), 'APPEND', 2],
  ['APPENDS to a tuple', pickle(')(Ne.'), 'APPENDS', 3],
  ['SETITEM of a list', pickle(']NNs.'), 'SETITEM', 3],
  ['SETITEMS without a value', pickle('}(Nu.'), 'SETITEMS', 3],
  ['DICT with items', pickle('(Va\nVb\nd.'), 'DICT', 7],
  ['ADDITEMS to an object', pickle(OBJECT, MARK, 'N', 0x90, '.'), 'ADDITEMS', length(OBJECT) + 2],
  ['INT of text', pickle('Iabc\n.'), 'INT', 0],
  ['INT in JavaScript', pickle('I0x10\n.'), 'INT', 0],
  ['LONG too large', pickle(`L${'9'.repeat(30)}L\n.`), 'LONG', 0],
  ['LONG far too large', pickle(`L${'9'.repeat(500_000)}L\n.`), 'LONG', 0],
  ['LONG4 far too large', pickle(0x8b, u32(100_000), new Uint8Array(100_000), '.'), 'LONG4', 0],
  ['FLOAT of text', pickle('F1.5x\n.'), 'FLOAT', 0],
  ['a text that is no UTF-8', pickle(0x8c, 2, '\xff\xfe.'), 'SHORT_BINUNICODE', 0],
  ['a long text that is no UTF-8', pickle('X', u32(300), '\xff'.repeat(300), '.'), 'BINUNICODE', 0],
  ['an escape that is cut off', pickle('V\\u12\n.'), 'UNICODE', 0],
  ['BINUNICODE8 of 2^60 bytes', pickle(0x8d, 0, 0, 0, 0, 0, 0, 0, 0x10, 'a.'), 'BINUNICODE8', 0],
  ['BINBYTES8 of 2^40 bytes', pickle(0x8e, 0, 0, 0, 0, 0, 1, 0, 0, 'a.'), 'BINBYTES8', 0],
  ['BYTEARRAY8 of 2^40 bytes', pickle(0x96, 0, 0, 0, 0, 0, 1, 0, 0, 'a.'), 'BYTEARRAY8', 0],
  ['BINBYTES of 4 GB', pickle('B', u32(0xffffffff), 'a.'), 'BINBYTES', 0],
  ['LONG4 of 4 GB', pickle(0x8b, u32(0xffffffff), 'a.'), 'LONG4', 0],
  ['a frame of 2^40 bytes', pickle(0x80, 4, 0x95, 0, 0, 0, 0, 0, 1, 0, 0, 'N.'), 'FRAME', 2],
  ['frames inside frames', pickle(0x95, 11, 0, 0, 0, 0, 0, 0, 0, 0x95, 2, 0, 0, 0, 0, 0, 0, 0, 'N.'), 'FRAME', 9],
  ['a list in itself', pickle(']', 0x94, 'h\x00a.'), 'APPEND', 4],
  ['a list in its own tuple', pickle(']', 0x94, 'h\x00', 0x85, 'a.'), 'APPEND', 5],
  // [], then [x, x] of each before: 2^40 values in 210 bytes, refused where there are too many.
  ['a bomb of shared lists', sharedBomb(40), 'APPENDS', 2 + 15 * 8 + 7],
  // The same from the outermost list inwards: each grows after it has been put into two others.
  ['a bomb that is filled last', pickle(']', 0x94, ']', 0x94, '(h\x00h\x00e', 'h\x00', 'Na.'), 'APPEND', 13],
  ['lists nested 100,000 deep', pickle(']'.repeat(100_000), 'a'.repeat(99_999), '.'), 'APPEND', 100_000 + 23],
  ['tuples nested 100,000 deep', pickle(')', Buffer.alloc(100_000, 0x85), '.'), 'TUPLE1', 24],
  ['MARKs nested 100,000 deep', pickle('('.repeat(100_000), '.'), 'MARK', 48],
  ['endless memo puts', pickle('N', Buffer.alloc(2_000_000, 0x94), '.'), 'MEMOIZE', 240_000],
  ['a list of 100,000', pickle('](', 'N'.repeat(100_000), 'e.'), 'APPENDS', 100_002],
  ['a tuple of 100,000', pickle('(', 'N'.repeat(100_000), 't.'), 'TUPLE', 100_001],
];

/** Of `levels` lists, each with the one before twice: `] memo0 ] memo1 ( get0 get0 e ...`. */
function sharedBomb(levels: number): Uint8Array {
  const pieces: (string | number)[] = [']', 0x94];
  for (let level = 0; level < levels; level++) pieces.push(']', 0x94, '(', 'h', level, 'h', level, 'e');
  // What is below is left on the stack: it never comes to that.
  return pickle(...pieces, '.');
}

describe('[L3] a hostile pickle is refused, and its opcode and byte are named:', () => {
  test.each(HOSTILE)('%s', async (_, bytes, opcode, offset) => {
    const { file, offset: start } = await fileWithEvent(bytes);
    const tookMs = runningTime();
    const failure = await failureOf(() => importBinary(file, 64 * 1024));
    expect(tookMs()).toBeLessThan(3_000);
    expect(failure).toMatch(
      new RegExp(`^(BAD_RECORDING|DAMAGED|LIMIT_EXCEEDED): event 0: ${opcode} at byte ${start + offset}: `),
    );
  });

  test('every opcode that is not read is among these', () => {
    const refused = [...OPCODES.values()].filter((opcode) => opcode.refused !== undefined).map(({ name }) => name);
    const shown = new Set(HOSTILE.map(([, , opcode]) => opcode));
    expect(refused.filter((name) => !shown.has(name))).toEqual([]);
    expect(OPCODES.size).toBe(68);
  });

  test('in the metadata and the checkpoints as well', async () => {
    const whole = await readFile(V1_FILE);
    const parts = partsOf(whole);
    for (const [index, where] of [
      [0, 'metadata'],
      [parts.length - 1, 'checkpoints'],
    ] as const) {
      const file = Buffer.from(whole);
      const offset = parts[index]?.offset ?? 0;
      file.set(pickle('cos\nsystem\n'), offset);
      expect(await failureOf(() => importBinary(file))).toMatch(
        `BAD_RECORDING: ${where}: GLOBAL at byte ${offset}: refused`,
      );
    }
  });
});

test('[L3] a file that is cut off at any byte is refused, naming opcode and byte within a pickle', async () => {
  const file = await readFile(V1_FILE);
  const parts = partsOf(file);
  for (let end = 0; end < file.length; end++) {
    const failure = await failureOf(() => importBinary(file.subarray(0, end)));
    const isInside = parts.some(({ offset, bytes }) => end > offset && end < offset + bytes.length);
    const opcode = isInside ? '[A-Z][A-Z0-9_]+' : '(length of |the number of )?[a-z0-9 ]+';
    expect(failure, `cut off at byte ${end}`).toMatch(new RegExp(`^DAMAGED: .*${opcode} at byte \\d+: `));
  }
});

test('[L3] a file with a wrong length, count, version or end is refused, and nothing is set aside for it', async () => {
  const file = await readFile(V1_FILE);
  const changed = (offset: number, value: number) => {
    const copy = Buffer.from(file);
    copy.writeUInt32LE(value, offset);
    return failureOf(() => importBinary(copy));
  };
  const [metadata, event] = partsOf(file);
  const count = (event?.offset ?? 0) - 8;
  expect(await changed(0, 7)).toMatch('BAD_RECORDING: header at byte 0');
  expect(await changed(4, 2)).toMatch('VERSION_UNKNOWN: header at byte 4: expected version 1, found 2');
  expect(await changed(8, 0xffffffff)).toMatch('LIMIT_EXCEEDED: metadata at byte 8: ');
  expect(await changed(8, 60_000_000)).toMatch(/DAMAGED: metadata.*|BAD_RECORDING: metadata: STOP at byte/);
  expect(await changed(8, (metadata?.bytes.length ?? 0) - 1)).toMatch(
    /DAMAGED: metadata: FRAME at byte 14: expected \d+ bytes more, found/,
  );
  expect(await changed(count, 0xffffffff)).toMatch(/^(DAMAGED|LIMIT_EXCEEDED): /);
  expect(await changed(count, 2)).toMatch(/^BAD_RECORDING: checkpoints: expected a dict, found a RecordedEvent/);
  const failure = await failureOf(() => importBinary(Buffer.concat([file, Buffer.of(0)])));
  expect(failure).toBe(`BAD_RECORDING: byte ${file.length}: expected the end of the file, found more`);
});

test('[L3] no flipped bit does more than change values or be refused', async () => {
  const file = await readFile(V1_FILE);
  for (let bit = Math.floor(Math.random() * 11); bit < file.length * 8; bit += 11) {
    const copy = Buffer.from(file);
    copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const failure = await failureOf(() => importBinary(copy, 4_096));
    expect(failure, `bit ${bit}`).toMatch(
      /^(nothing was thrown|(BAD_RECORDING|BAD_EVENT|BAD_STATE|DAMAGED|LIMIT_EXCEEDED|VERSION_UNKNOWN): )/,
    );
  }
});

test('[L3] [S4] any bytes and any order of opcodes give a value or an error that names the byte', () => {
  const opcode = fc.constantFrom(...OPCODES.keys());
  const anything = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc
      .array(fc.oneof({ weight: 3, arbitrary: opcode }, fc.nat(3)), { maxLength: 200 })
      .map((codes) => Uint8Array.from(codes)),
    // Mostly sound: values, marks and containers, remembered and recalled.
    fc
      .array(
        fc.constantFrom(
          'N',
          ']',
          '}',
          ')',
          '(',
          'K\x01',
          'e',
          'u',
          't',
          'a',
          's',
          '\x94',
          'h\x00',
          'h\x01',
          '\x86',
          '\x8f',
          '\x90',
        ),
        {
          maxLength: 60,
        },
      )
      .map((pieces) => pickle('\x80\x04', ...pieces, '.')),
  );
  fc.assert(
    fc.property(anything, (bytes) => {
      try {
        readPickle(bytes, { where: 'event 0', offset: 100 });
      } catch (error) {
        if (!isGametapeError(error)) throw error;
        expect(error.message).toMatch(/^event 0: .+ at byte 1\d\d: /);
      }
    }),
    { numRuns: 3_000 },
  );
});

test('[L3] a pickle with nothing hostile in it is read', () => {
  const read = (...pieces: (string | number | Uint8Array)[]) =>
    readPickle(pickle(...pieces), { where: 'event 0', offset: 0 });
  expect(read('](NK\x05I-7\nL12L\nF1.5\nFinf\ne.')).toEqual([null, 5, -7, 12, 1.5, Number.POSITIVE_INFINITY]);
  expect(read('(Va\\u00e9\\U0001f600\\u005cu0041\xe9\nV\\\\u0041\nt.')).toEqual(['aé😀\\u0041é', '\\\\u0041']);
  // As Python 3.11.0 writes members of enums.
  expect(read(named('builtins', 'getattr'), EVENT_TYPE, text('REWIND'), 0x86, 'R.')).toMatchObject({ value: 'rewind' });
  expect(read('}', text('__proto__'), ')s.')).toEqual(new Map([['__proto__', []]]));
});
