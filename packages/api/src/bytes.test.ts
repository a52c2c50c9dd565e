import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bytesFromLatin1, compareBytes, concatBytes, equalBytes, latin1FromBytes, writeLatin1 } from "./bytes.js";

/** Few different bytes, so that equal arrays and prefixes occur. */
const shortBytes = fc.uint8Array({ maxLength: 4, max: 2 });

describe("compareBytes", () => {
  it("orders as Buffer.compare does", () => {
    fc.assert(
      fc.property(shortBytes, shortBytes, (a, b) => {
        expect(Math.sign(compareBytes(a, b))).toBe(Buffer.compare(a, b));
        expect(equalBytes(a, b)).toBe(Buffer.compare(a, b) === 0);
      }),
    );
  });
});

describe("latin1", () => {
  it("keeps byte order", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3 }), fc.uint8Array({ maxLength: 3 }), (a, b) => {
        const [x, y] = [latin1FromBytes(a), latin1FromBytes(b)];
        expect(x < y ? -1 : x > y ? 1 : 0).toBe(Math.sign(compareBytes(a, b)));
      }),
    );
  });

  it("comes back the same at every length, also beyond one chunk", () => {
    for (const length of [...Array(70).keys(), 511, 512, 513, 1023, 1024, 1025, 12_289, 1_572_864]) {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 31) & 0xff);
      const text = latin1FromBytes(bytes);
      expect(text.length).toBe(length);
      expect(equalBytes(bytesFromLatin1(text), bytes)).toBe(true);
    }
  });

  it("reads and writes in the middle of an array", () => {
    expect(latin1FromBytes(Uint8Array.of(1, 65, 255, 2), 1, 3)).toBe("A\u00ff");
    const target = new Uint8Array(4);
    expect(writeLatin1(target, 1, "A\u00ff")).toBe(3);
    expect([...target]).toEqual([0, 65, 255, 0]);
  });
});

it("concatenates", () => {
  expect([...concatBytes([Uint8Array.of(1), new Uint8Array(0), Uint8Array.of(2, 3)])]).toEqual([1, 2, 3]);
});
