const TABLE = makeTable();

/** CRC-32 as in gzip and PNG (reflected 0xEDB88320). Continues from `before`, the crc of the bytes so far. */
export type Crc32 = (bytes: Uint8Array, before?: number) => number;

/** Works everywhere. Node has a native one (`zlib.crc32`), which platforms hand in where speed matters. */
export const crc32: Crc32 = (bytes, before = 0) => {
  let crc = ~before;
  for (let i = 0; i < bytes.length; i++) {
    crc = (crc >>> 8) ^ (TABLE[(crc ^ (bytes[i] as number)) & 0xff] as number);
  }
  return ~crc >>> 0;
};

function makeTable(): Uint32Array {
  const table = new Uint32Array(256);
  for (let n = 0; n < 256; n++) {
    let crc = n;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    table[n] = crc;
  }
  return table;
}
