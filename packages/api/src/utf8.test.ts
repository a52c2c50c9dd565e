import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeUtf8, encodeUtf8, sizeUtf8 } from "./utf8.js";

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function reference(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}

/** Mostly bytes that begin or continue sequences, so that near misses are common. */
const almostUtf8 = fc
  .array(
    fc.oneof(
      fc.constantFrom(0x00, 0x41, 0x7f, 0x80, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5, 0xff),
      fc.integer({ min: 0, max: 255 }),
    ),
    { maxLength: 100 },
  )
  .map((values) => Uint8Array.from(values));

describe("utf8", () => {
  it("writes what TextEncoder writes, lone surrogates included", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((u) => String.fromCharCode(u)) }),
        (text) => {
          const expected = new TextEncoder().encode(text);
          expect(sizeUtf8(text)).toBe(expected.length);
          expect(encodeUtf8(text)).toEqual(expected);
        },
      ),
    );
  });

  it("reads well-formed text of any length", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 300 }), fc.nat(3000), (text, padding) => {
        const long = text + "x".repeat(padding) + text;
        const bytes = new TextEncoder().encode(long);
        expect(decodeUtf8(bytes, 0, bytes.length)).toBe(strict.decode(bytes));
      }),
    );
  });

  it("refuses exactly what a strict TextDecoder refuses", () => {
    fc.assert(
      fc.property(almostUtf8, (bytes) => {
        expect(decodeUtf8(bytes, 0, bytes.length)).toBe(reference(bytes));
      }),
      { numRuns: 3000 },
    );
  });

  it("reads only its range", () => {
    const bytes = new TextEncoder().encode("ab€cd");
    expect(decodeUtf8(bytes, 1, 5)).toBe("b€");
    expect(decodeUtf8(bytes, 1, 4)).toBeUndefined();
  });
});
