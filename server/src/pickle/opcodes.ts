/** What follows an opcode: so many bytes, a line of text (or two), or a length of so many bytes and then the data. */
export type Argument = { readonly bytes: number } | { readonly lines: 1 | 2 } | { readonly lengthBytes: 1 | 4 | 8 };

export interface Opcode {
  /** As Python's `pickletools` has it. */
  readonly name: string;
  readonly argument: Argument;
  /** Why no recording may have it; undefined for those that are read. */
  readonly refused?: string;
}

const NO_ARGUMENT: Argument = { bytes: 0 };
const OUTSIDE = 'asks for something from outside of the file';
const CALLS = 'makes an object in a way that no recording needs';
const PYTHON_2 = 'is a text of Python 2, which never wrote recordings';
const UNUSED = 'is something that Python does not write for a recording';

/** All opcodes of the protocols 0 to 5, so that those that are refused are named too. */
const TABLE: readonly (readonly [code: string | number, name: string, argument?: Argument, refused?: string])[] = [
  ['(', 'MARK'],
  ['.', 'STOP'],
  ['0', 'POP', NO_ARGUMENT, UNUSED],
  ['1', 'POP_MARK', NO_ARGUMENT, UNUSED],
  ['2', 'DUP', NO_ARGUMENT, UNUSED],
  ['F', 'FLOAT', { lines: 1 }],
  ['I', 'INT', { lines: 1 }],
  ['J', 'BININT', { bytes: 4 }],
  ['K', 'BININT1', { bytes: 1 }],
  ['L', 'LONG', { lines: 1 }],
  ['M', 'BININT2', { bytes: 2 }],
  ['N', 'NONE'],
  ['P', 'PERSID', { lines: 1 }, OUTSIDE],
  ['Q', 'BINPERSID', NO_ARGUMENT, OUTSIDE],
  ['R', 'REDUCE'],
  ['S', 'STRING', { lines: 1 }, PYTHON_2],
  ['T', 'BINSTRING', { lengthBytes: 4 }, PYTHON_2],
  ['U', 'SHORT_BINSTRING', { lengthBytes: 1 }, PYTHON_2],
  ['V', 'UNICODE', { lines: 1 }],
  ['X', 'BINUNICODE', { lengthBytes: 4 }],
  ['a', 'APPEND'],
  ['b', 'BUILD'],
  ['c', 'GLOBAL', { lines: 2 }],
  ['d', 'DICT'],
  ['}', 'EMPTY_DICT'],
  ['e', 'APPENDS'],
  ['g', 'GET', { lines: 1 }],
  ['h', 'BINGET', { bytes: 1 }],
  ['i', 'INST', { lines: 2 }, CALLS],
  ['j', 'LONG_BINGET', { bytes: 4 }],
  ['l', 'LIST'],
  [']', 'EMPTY_LIST'],
  ['o', 'OBJ', NO_ARGUMENT, CALLS],
  ['p', 'PUT', { lines: 1 }],
  ['q', 'BINPUT', { bytes: 1 }],
  ['r', 'LONG_BINPUT', { bytes: 4 }],
  ['s', 'SETITEM'],
  ['t', 'TUPLE'],
  [')', 'EMPTY_TUPLE'],
  ['u', 'SETITEMS'],
  ['G', 'BINFLOAT', { bytes: 8 }],
  ['B', 'BINBYTES', { lengthBytes: 4 }],
  ['C', 'SHORT_BINBYTES', { lengthBytes: 1 }],
  [0x80, 'PROTO', { bytes: 1 }],
  [0x81, 'NEWOBJ'],
  [0x82, 'EXT1', { bytes: 1 }, OUTSIDE],
  [0x83, 'EXT2', { bytes: 2 }, OUTSIDE],
  [0x84, 'EXT4', { bytes: 4 }, OUTSIDE],
  [0x85, 'TUPLE1'],
  [0x86, 'TUPLE2'],
  [0x87, 'TUPLE3'],
  [0x88, 'NEWTRUE'],
  [0x89, 'NEWFALSE'],
  [0x8a, 'LONG1', { lengthBytes: 1 }],
  [0x8b, 'LONG4', { lengthBytes: 4 }],
  [0x8c, 'SHORT_BINUNICODE', { lengthBytes: 1 }],
  [0x8d, 'BINUNICODE8', { lengthBytes: 8 }],
  [0x8e, 'BINBYTES8', { lengthBytes: 8 }],
  [0x8f, 'EMPTY_SET'],
  [0x90, 'ADDITEMS'],
  [0x91, 'FROZENSET'],
  [0x92, 'NEWOBJ_EX', NO_ARGUMENT, CALLS],
  [0x93, 'STACK_GLOBAL'],
  [0x94, 'MEMOIZE'],
  [0x95, 'FRAME', { bytes: 8 }],
  [0x96, 'BYTEARRAY8', { lengthBytes: 8 }],
  [0x97, 'NEXT_BUFFER', NO_ARGUMENT, OUTSIDE],
  [0x98, 'READONLY_BUFFER', NO_ARGUMENT, OUTSIDE],
];

export const OPCODES: ReadonlyMap<number, Opcode> = new Map(
  TABLE.map(([code, name, argument = NO_ARGUMENT, refused]) => [
    typeof code === 'string' ? code.charCodeAt(0) : code,
    { name, argument, ...(refused !== undefined && { refused }) },
  ]),
);

/** One opcode of a pickle, and where it stands. */
export interface Operation {
  readonly name: string;
  /** Of the opcode, in the pickle. */
  readonly offset: number;
  /** What follows it, without the length or the line breaks. Borrowed. */
  readonly data: Uint8Array;
  /** Of what comes next. */
  readonly end: number;
}
