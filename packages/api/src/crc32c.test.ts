import fc from "fast-check";
import { expect, it } from "vitest";
import { crc32c } from "./crc32c.js";
import { encodeUtf8 } from "./utf8.js";

/** Bit by bit, as the definition has it. */
function slowCrc32c(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ 0x82f6_3b78;
  }
  return ~crc >>> 0;
}

it("has the check value of the catalogue", () => {
  expect(crc32c(0, encodeUtf8("123456789"))).toBe(0xe306_9283);
  expect(crc32c(0, new Uint8Array(0))).toBe(0);
  // RFC 3720, B.4: 32 bytes of zeros and of ones.
  expect(crc32c(0, new Uint8Array(32))).toBe(0x8a91_36aa);
  expect(crc32c(0, new Uint8Array(32).fill(0xff))).toBe(0x62a8_ab43);
});

it("equals the definition for any bytes at any offset", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(20), (bytes, start) => {
      const from = Math.min(start, bytes.length);
      expect(crc32c(0, bytes, from)).toBe(slowCrc32c(bytes.subarray(from)));
    }),
  );
});

it("continues from a finished value", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(60), (bytes, cut) => {
      const at = Math.min(cut, bytes.length);
      expect(crc32c(crc32c(0, bytes, 0, at), bytes, at)).toBe(crc32c(0, bytes));
    }),
  );
});
