import { OPCODES, type Operation } from './opcodes.ts';
import { type OpcodePlace, opcodeError, type PicklePlace } from './pickle-error.ts';

const NEWEST_PROTOCOL = 5;
const NEWLINE = 0x0a;

/**
 * The opcodes of a pickle up to its STOP, each with what belongs to it. No length is believed before it has been compared
 * with the bytes that are there.
 *
 * @throws GametapeError naming opcode and byte: `BAD_RECORDING` for opcodes that no recording may have, and for bytes after
 *   STOP; `DAMAGED` when the bytes end too early
 */
export function* pickleOperations(bytes: Uint8Array, place: PicklePlace): Generator<Operation> {
  let last: OpcodePlace = { name: 'the first opcode', offset: 0 };
  let frameEnd = 0;
  let at = 0;
  while (at < bytes.length) {
    const operation = readOperation(bytes, at, place);
    if (operation.name === 'PROTO') checkProtocol(operation, place);
    if (operation.name === 'FRAME') {
      if (at < frameEnd) throw opcodeError('BAD_RECORDING', place, operation, 'a frame begins inside another');
      const length = lengthOf(operation.data);
      requireBytes(length, bytes.length - operation.end, place, operation);
      frameEnd = operation.end + length;
    }
    yield operation;
    at = operation.end;
    last = operation;
    if (operation.name !== 'STOP') continue;
    if (at === bytes.length) return;
    throw opcodeError('BAD_RECORDING', place, operation, `expected the end, found ${bytes.length - at} bytes more`);
  }
  throw opcodeError('DAMAGED', place, last, `it ends after ${bytes.length} bytes, without STOP`);
}

function readOperation(bytes: Uint8Array, offset: number, place: PicklePlace): Operation {
  const code = bytes[offset] as number;
  const opcode = OPCODES.get(code);
  if (!opcode) {
    const name = `opcode 0x${code.toString(16).padStart(2, '0')}`;
    throw opcodeError('BAD_RECORDING', place, { name, offset }, 'there is no such opcode');
  }
  const { name, argument, refused } = opcode;
  if (refused !== undefined) throw opcodeError('BAD_RECORDING', place, { name, offset }, `refused: it ${refused}`);
  let start = offset + 1;
  let end: number;
  if ('lines' in argument) {
    end = offset;
    for (let line = 0; line < argument.lines; line++) {
      end = bytes.indexOf(NEWLINE, end + 1);
      if (end < 0) throw opcodeError('DAMAGED', place, { name, offset }, 'it ends inside a line of text');
    }
    return { name, offset, data: bytes.subarray(start, end), end: end + 1 };
  }
  let length: number;
  if ('bytes' in argument) length = argument.bytes;
  else {
    requireBytes(argument.lengthBytes, bytes.length - start, place, { name, offset });
    length = lengthOf(bytes.subarray(start, start + argument.lengthBytes));
    start += argument.lengthBytes;
  }
  requireBytes(length, bytes.length - start, place, { name, offset });
  end = start + length;
  return { name, offset, data: bytes.subarray(start, end), end };
}

function requireBytes(wanted: number, found: number, place: PicklePlace, opcode: OpcodePlace): void {
  if (wanted <= found) return;
  throw opcodeError('DAMAGED', place, opcode, `expected ${wanted} bytes more, found ${found}`);
}

function checkProtocol(operation: Operation, place: PicklePlace): void {
  const [protocol = 0] = operation.data;
  if (operation.offset !== 0) throw opcodeError('BAD_RECORDING', place, operation, 'expected at the start only');
  if (protocol <= NEWEST_PROTOCOL) return;
  const found = `expected a protocol up to ${NEWEST_PROTOCOL}, found ${protocol}`;
  throw opcodeError('BAD_RECORDING', place, operation, found);
}

/** Little-endian and unsigned. Past 2^53 it is not exact, and too long anyway. */
export function lengthOf(bytes: Uint8Array): number {
  return bytes.reduceRight((length, byte) => length * 256 + byte, 0);
}
