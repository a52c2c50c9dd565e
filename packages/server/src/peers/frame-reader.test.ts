import fc from "fast-check";
import { expect, test } from "vitest";
import { FrameReader } from "./frame-reader.js";

test("pieces come out as they went in, however the stream is chunked", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 20 }), fc.array(fc.nat(12)), (pieces, cuts) => {
      const all = new Uint8Array(pieces.flatMap((piece) => [...piece]));
      const reader = new FrameReader();
      let at = 0;
      for (const cut of cuts) {
        reader.push(all.subarray(at, at + cut));
        at = Math.min(all.length, at + cut);
      }
      reader.push(all.subarray(at));
      expect(reader.available).toBe(all.length);
      for (const piece of pieces) expect(reader.take(piece.length)).toEqual(piece);
      expect(reader.available).toBe(0);
      expect(reader.take(1)).toBeUndefined();
    }),
  );
});

test("peeking consumes nothing", () => {
  const reader = new FrameReader();
  reader.push(new Uint8Array([7, 0, 0, 0]));
  reader.push(new Uint8Array([0, 0, 0, 1, 2]));
  expect(reader.peekByte(0)).toBe(7);
  expect(reader.peekByte(9)).toBeUndefined();
  expect(reader.peekUint64(1)).toBe(0x0102);
  expect(reader.peekUint64(2)).toBeUndefined();
  expect(reader.available).toBe(9);
});

test("decoding and skipping consume as taking does, in one chunk and across several", () => {
  const all = Uint8Array.from({ length: 12 }, (_, i) => i);
  const copy = (bytes: Uint8Array, start: number, end: number) => [...bytes.slice(start, end)];
  for (let cut = 0; cut <= all.length; cut++) {
    const reader = new FrameReader();
    reader.push(all.subarray(0, cut));
    reader.push(all.subarray(cut));
    expect(reader.decode(5, copy)).toEqual([0, 1, 2, 3, 4]);
    reader.skip(3);
    expect(reader.decode(5, copy)).toBeUndefined();
    expect(reader.decode(4, copy)).toEqual([8, 9, 10, 11]);
    expect(reader.available).toBe(0);
  }
});
