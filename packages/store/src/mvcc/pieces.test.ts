import { describe, expect, test } from "vitest";
import { bytes, StoreFixture, text, whole } from "../testing/store-fixture.js";
import type { OpResult } from "../txn/outcome.js";
import { ByteArena } from "./byte-arena.js";
import { Splices } from "./pieces.js";
import {
  encodeDeleteRangeResponse,
  encodeRangeResponse,
  encodeTxnResponse,
  sizeDeleteRangeResponse,
  sizeInPieces,
  sizeRangeResponse,
  sizeTxnResponse,
} from "./response.js";

describe("an arena", () => {
  test("keeps what is appended, in pieces once it is more than a megabyte", () => {
    const arena = new ByteArena();
    const appended: Uint8Array[] = [];
    const sizes = [1, 5000, 300_000, 0, 700_000, 60_000, 3_000_000, 17, 1_048_576, 2];
    for (const [i, size] of sizes.entries()) {
      appended.push(new Uint8Array(size).fill(i + 1));
      arena.append(appended[i]!, 0, size);
      expect(Buffer.compare(arena.last(size), appended[i]!)).toBe(0);
      expect(arena.view() instanceof Uint8Array).toBe(i < 5);
    }
    expect(Buffer.compare(whole(arena.view()), Buffer.concat(appended))).toBe(0);
  });

  test("gives pieces away, and uses one again", () => {
    const arena = new ByteArena();
    const fill = (value: number, size: number) => {
      for (let i = 0; i < 3; i++) arena.append(new Uint8Array(size).fill(value), 0, size);
      return arena.view();
    };
    const given = fill(1, 500_000);
    arena.clear(2 << 20);
    const one = fill(2, 100);
    arena.clear(2 << 20);
    fill(3, 100);
    expect(whole(given).every((byte) => byte === 1)).toBe(true);
    expect(whole(one).every((byte) => byte === 3)).toBe(true);
  });
});

describe("a response in pieces", () => {
  const header = { beforeRevision: bytes("\x08\x01\x10\x02"), afterRevision: bytes("\x20\x03") };

  /** In several pieces, as its records are more than a megabyte. */
  function large(field: number): OpResult {
    const arena = new ByteArena();
    for (let i = 0; i < 5; i++) arena.append(new Uint8Array(400_000).fill(field * 10 + i), 0, 400_000);
    const pieces = arena.view();
    if (field === 3) return { kind: "deleteRange", revision: 9, deleted: 5, prevKvs: pieces };
    return { kind: "range", revision: 9, count: 5, more: true, kvs: pieces, kvCount: 5, lastKey: "k" };
  }

  const small: OpResult = {
    kind: "range",
    revision: 9,
    count: 1,
    more: false,
    kvs: bytes("abc"),
    kvCount: 1,
    lastKey: "k",
  };
  const txn: OpResult = { kind: "txn", revision: 9, succeeded: true, responses: [small, large(1), small] };
  const results: OpResult[] = [
    large(1),
    large(3),
    { kind: "txn", revision: 9, succeeded: true, responses: [large(3), small, txn, large(1)] },
  ];

  test.each(results.map((result) => [result.kind, result] as const))("is the same as in one: %s", (_kind, result) => {
    const [size, encode] = codecOf(result);
    const inOne = new Uint8Array(size);
    expect(encode(inOne, 0)).toBe(size);
    const splices = new Splices();
    const rest = new Uint8Array(size - sizeInPieces(result));
    expect(encode(rest, 0, splices)).toBe(rest.length);
    expect(rest.length).toBeLessThan(200);
    expect(Buffer.compare(whole(splices.join(rest)), inOne)).toBe(0);
  });

  function codecOf(result: OpResult): [number, (target: Uint8Array, offset: number, splices?: Splices) => number] {
    switch (result.kind) {
      case "range":
        return [sizeRangeResponse(header, result), (...to) => encodeRangeResponse(header, result, ...to)];
      case "deleteRange":
        return [sizeDeleteRangeResponse(header, result), (...to) => encodeDeleteRangeResponse(header, result, ...to)];
      case "txn":
        return [sizeTxnResponse(header, result), (...to) => encodeTxnResponse(header, result, ...to)];
      case "put":
        throw new Error("a put has no pieces");
    }
  }
});

test("a range of more than a megabyte stays as it was read", () => {
  const store = new StoreFixture();
  for (const key of ["a", "b", "c"]) store.put(key, key.toUpperCase().repeat(600_000));
  const request = {
    ...{ key: bytes("a"), rangeEnd: bytes("z"), revision: 0, limit: 0, keysOnly: false, countOnly: false },
    ...{ minModRevision: 0, maxModRevision: 0, minCreateRevision: 0, maxCreateRevision: 0 },
  };
  const read = (sortOrder: number, sortTarget: number): Uint8Array => {
    const result = store.mvcc.startRange({ ...request, sortOrder, sortTarget }).finish();
    if (result.kind === "refused" || result.kvs instanceof Uint8Array) throw new Error("it is in pieces");
    // Another read must not touch them.
    store.mvcc.startRange({ ...request, sortOrder: 2, sortTarget: 0 }).finish();
    return whole(result.kvs);
  };
  const order = (answer: Uint8Array): string =>
    text(answer)
      .replace(/[^A-Z]/g, "")
      .replace(/(.)\1*/g, "$1");
  expect(order(read(0, 0))).toBe("ABC");
  expect(order(read(1, 4))).toBe("ABC");
  expect(order(read(2, 4))).toBe("CBA");
});
