import { messageBytes } from "@etcd-ts/api";
import { decodeKeyValue, encodeKeyValue, sizeKeyValue } from "@etcd-ts/api/mvccpb";
import { expect, test } from "vitest";
import { bytes, text } from "../testing/store-fixture.js";
import {
  decodeRecord,
  encodeChunk,
  encodeTombstone,
  recordKey,
  recordOfChunk,
  sizeChunk,
  sizeRecord,
} from "./record.js";
import { decodeRevisionKey, encodeRevisionKey } from "./revision-key.js";

const numbers = [
  0,
  1,
  127,
  128,
  16_383,
  16_384,
  2 ** 21,
  2 ** 28 - 1,
  2 ** 28,
  2 ** 31,
  2 ** 32,
  2 ** 35,
  2 ** 42,
  2 ** 53 - 1,
];
const leases = [0n, 1n, 300n, 2n ** 53n, 2n ** 62n, 2n ** 63n - 1n, -1n, -(2n ** 63n)];

test("a record is what the generated codec writes, and is read back", () => {
  for (const [at, number] of numbers.entries()) {
    for (const lease of leases) {
      const key = "k".repeat(at * 20);
      const value = bytes("\xffv".repeat(at * at));
      const meta = { createRevision: number, modRevision: number, version: number % 1000, lease };
      const chunk = encodeChunk(key, value, meta);
      const record = recordOfChunk(chunk);
      const message = {
        key: bytes(key),
        createRevision: number,
        modRevision: number,
        version: number % 1000,
        value,
        lease,
      };
      const expected = messageBytes({ size: sizeKeyValue, encode: encodeKeyValue }, message);
      expect(record).toEqual(expected);
      expect(sizeRecord(key, value.length, meta)).toBe(record.length);
      expect(sizeChunk(record.length)).toBe(chunk.length);
      expect(decodeRecord(record)).toEqual(message);
      expect(decodeKeyValue(record)).toEqual(message);
      expect(text(recordKey(record))).toBe(key);
    }
  }
});

test("a tombstone's row has the key only", () => {
  expect([...encodeTombstone("ab")]).toEqual([0x0a, 2, 0x61, 0x62]);
});

test("bytes that are not a record are corruption", () => {
  expect(() => decodeRecord(Uint8Array.of(0x0a, 5, 0x61))).toThrow("within the record");
  expect(() => decodeRecord(Uint8Array.of(0x10, 0x80))).toThrow("within the record");
  expect(() => decodeRecord(Uint8Array.of(0x7a, 1))).toThrow("fields of KeyValue");
  expect(() => recordKey(Uint8Array.of(0x0a, 5, 0x61))).toThrow("within the record");
});

test("revision keys", () => {
  expect([...encodeRevisionKey(2, 0)]).toEqual([0, 0, 0, 0, 0, 0, 0, 2, 0x5f, 0, 0, 0, 0, 0, 0, 0, 0]);
  for (const main of numbers) {
    for (const tombstone of [false, true]) {
      expect(decodeRevisionKey(encodeRevisionKey(main, 300, tombstone))).toEqual({ main, sub: 300, tombstone });
    }
  }
  const odd = encodeRevisionKey(2, 1, true);
  odd[17] = 0x75;
  expect(decodeRevisionKey(odd)).toEqual({ main: 2, sub: 1, tombstone: false });
  expect(() => decodeRevisionKey(new Uint8Array(16))).toThrow("17 or 18");
  expect(() => decodeRevisionKey(new Uint8Array(17))).toThrow("separator");
  odd[0] = 0x80;
  expect(() => decodeRevisionKey(odd)).toThrow("53 bits");
});
