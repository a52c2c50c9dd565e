import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AssertionError } from "./assert.js";
import { encodePutRequest, encodeTxnRequest, sizePutRequest } from "./gen/etcdserverpb.js";
import { cursor, readInt64, readInt64Number, readUint64 } from "./wire-reader.js";
import { sizeBigInt, sizeNumber, sizeVarint32, writeBigInt, writeNumber, writeVarint32 } from "./wire-writer.js";

/** Bytes of a varint by its definition: seven bits each. */
function definedSize(value: bigint): number {
  return Math.max(1, Math.ceil(BigInt.asUintN(64, value).toString(2).length / 7));
}

/** Where one byte more is needed, and the values around it. */
const edges = Array.from({ length: 65 }, (_, bits) => 2n ** BigInt(bits)).flatMap((power) => [
  power - 1n,
  power,
  power + 1n,
]);
const target = new Uint8Array(12);

describe("varints", () => {
  it("of bigints are as long as announced and read back the same", () => {
    const check = (value: bigint): void => {
      const end = writeBigInt(target, 1, value);
      expect(end - 1).toBe(sizeBigInt(value));
      expect(end - 1).toBe(definedSize(value));
      expect(value < 0n ? readInt64(target, 1, end) : readUint64(target, 1, end)).toBe(value);
      expect(cursor).toBe(end);
    };
    for (const edge of edges) {
      if (edge < 2n ** 64n) check(edge);
      if (edge <= 2n ** 63n) check(-edge);
    }
    fc.assert(fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }), check));
  });

  it("of numbers are as long as announced and read back the same", () => {
    const check = (value: number): void => {
      const end = writeNumber(target, 1, value);
      expect(end - 1).toBe(sizeNumber(value));
      expect(end - 1).toBe(definedSize(BigInt(value)));
      expect(readInt64Number(target, 1, end)).toBe(value);
    };
    for (const edge of edges.filter((value) => value <= 2n ** 53n)) {
      check(Number(edge));
      if (edge !== 0n) check(-Number(edge));
    }
    fc.assert(fc.property(fc.integer({ min: -Number.MAX_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER }), check));
  });

  it("of lengths are as long as announced", () => {
    for (const edge of edges.filter((value) => value < 2n ** 32n).map(Number)) {
      expect(writeVarint32(target, 1, edge) - 1).toBe(sizeVarint32(edge));
    }
  });
});

describe("a target that is too small", () => {
  const put = { key: new Uint8Array(3), value: new Uint8Array(20), lease: 1n };

  it("stops the encoder instead of losing bytes", () => {
    const size = sizePutRequest(put);
    expect(encodePutRequest(put, new Uint8Array(size), 0)).toBe(size);
    expect(() => encodePutRequest(put, new Uint8Array(size - 1), 0)).toThrow(AssertionError);
    expect(() => encodePutRequest(put, new Uint8Array(size), 1)).toThrow(AssertionError);
  });

  it("also where a message is moved to make room for its length", () => {
    const message = { success: [{ request: { kind: "requestPut", value: { value: new Uint8Array(200) } } }] } as const;
    expect(() => encodeTxnRequest(message, new Uint8Array(208), 0)).toThrow(AssertionError);
    expect(encodeTxnRequest(message, new Uint8Array(209), 0)).toBe(209);
  });
});
