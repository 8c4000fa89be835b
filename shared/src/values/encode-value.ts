import { Packr } from 'msgpackr';
import type { ByteWriter } from '../bytes/byte-writer.ts';
import type { Json } from './json.ts';

const packr = new Packr({ useRecords: false, variableMapSize: true });

/** Appends `value` as MessagePack. It must have come through `captureJson` or a strict decoder. */
export function encodeValue(writer: ByteWriter, value: Json): void {
  // The two shapes nearly every keystroke carries, without the round trip through the packer's own buffer.
  if (typeof value === 'number' && value >= 0 && value < 128 && Number.isInteger(value)) writer.byte(value);
  else if (typeof value === 'string' && value.length === 1 && value.charCodeAt(0) < 128) {
    writer.byte(0xa1);
    writer.byte(value.charCodeAt(0));
  } else writer.raw(packr.pack(value));
}
