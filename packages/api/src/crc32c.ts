/**
 * CRC-32C (Castagnoli), the checksum of the write-ahead log and of .snap files.
 *
 * Table driven, eight bytes a step. For blocks above some 400 bytes the platform's native one is faster; both continue
 * from a finished value: `crc32c(crc32c(0, a), b)` is the checksum of a followed by b, as Go's crc32.Update has it.
 *
 * Source: Kounavis and Berry, "A Systematic Approach to Building High Performance, Software-based, CRC Generators"
 * (slicing-by-8); polynomial 0x1EDC6F41, reflected.
 */

const polynomial = 0x82f6_3b78;

/** tables[k * 256 + b]: the effect of byte b followed by k zero bytes. */
const tables: Int32Array = makeTables();

function makeTables(): Int32Array {
  const made = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ polynomial;
    made[byte] = crc;
  }
  for (let i = 256; i < made.length; i++) {
    const shorter = made[i - 256] as number;
    made[i] = (shorter >>> 8) ^ (made[shorter & 0xff] as number);
  }
  return made;
}

/**
 * The checksum of what `crc` is the checksum of, followed by bytes[start, end). Starts at 0. The result is an unsigned
 * 32-bit number.
 */
export function crc32c(crc: number, bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  let state = ~crc;
  let i = start;
  for (const last = end - 7; i < last; i += 8) {
    state ^=
      (bytes[i] as number) |
      ((bytes[i + 1] as number) << 8) |
      ((bytes[i + 2] as number) << 16) |
      ((bytes[i + 3] as number) << 24);
    state =
      (tables[1792 + (state & 0xff)] as number) ^
      (tables[1536 + ((state >>> 8) & 0xff)] as number) ^
      (tables[1280 + ((state >>> 16) & 0xff)] as number) ^
      (tables[1024 + (state >>> 24)] as number) ^
      (tables[768 + (bytes[i + 4] as number)] as number) ^
      (tables[512 + (bytes[i + 5] as number)] as number) ^
      (tables[256 + (bytes[i + 6] as number)] as number) ^
      (tables[bytes[i + 7] as number] as number);
  }
  for (; i < end; i++) state = (state >>> 8) ^ (tables[(state ^ (bytes[i] as number)) & 0xff] as number);
  return ~state >>> 0;
}
