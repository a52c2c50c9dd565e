import { runToEnd } from "@etcd-ts/store";
import fc from "fast-check";
import { expect, test } from "vitest";
import { ImageFormatError, ImageReader } from "./image-reader.js";
import { layOutImage, type Row, type RowSource, writeImage } from "./image-writer.js";

type Content = ReadonlyMap<string, readonly Row[]>;

function image(content: Content, pageSize = 1024): Uint8Array {
  const source: RowSource = function* (bucket, visitor) {
    for (const row of content.get(bucket) ?? []) {
      visitor(...row);
      yield;
    }
  };
  const layout = runToEnd(layOutImage([...content.keys()].sort(), source, pageSize));
  const bytes = Buffer.concat([...writeImage(layout, source)]);
  expect(bytes.length).toBe(layout.sizeBytes);
  return bytes;
}

function reader(bytes: Uint8Array): ImageReader {
  return runToEnd(ImageReader.open((offset, length) => bytes.subarray(offset, offset + length)));
}

/** Rows with all bytes at hand. */
function rowsOf(read: ImageReader, bucket: string): Row[] {
  return [...read.rows(bucket)].filter((row) => row !== undefined);
}

function numbered(count: number, valueSize: number): Row[] {
  return Array.from(
    { length: count },
    (_, i): Row => [Buffer.from(String(i).padStart(6, "0")), new Uint8Array(valueSize).fill(i)],
  );
}

test("what is written is read back, in order, whatever its size", () => {
  const content = new Map([
    ["alarm", []],
    ["key", numbered(2000, 30)],
    ["meta", [[Buffer.from("a"), new Uint8Array(5000).fill(7)] as Row]],
  ]);
  const read = reader(image(content));
  expect(runToEnd(read.bucketNames())).toEqual(["alarm", "key", "meta"]);
  for (const [name, rows] of content) {
    const got = rowsOf(read, name).map(([key, value]) => [Buffer.from(key), Buffer.from(value)]);
    expect(got).toEqual(rows.map(([key, value]) => [Buffer.from(key), Buffer.from(value)]));
  }
  expect(rowsOf(read, "none")).toEqual([]);
});

test("rows of random sizes survive", () => {
  const rows = fc
    .uniqueArray(fc.string({ minLength: 1, maxLength: 40 }), { maxLength: 60 })
    .chain((keys) => fc.tuple(...keys.map((key) => fc.tuple(fc.constant(key), fc.nat(1500)))));
  fc.assert(
    fc.property(rows, (pairs) => {
      const sorted = pairs
        .map(([key, size]): Row => [Buffer.from(key), new Uint8Array(size).fill(size)])
        .sort((a, b) => Buffer.compare(a[0], b[0]));
      const got = rowsOf(reader(image(new Map([["b", sorted]]))), "b").map(([key, value]) => [
        Buffer.from(key).toString("hex"),
        value.length,
      ]);
      expect(got).toEqual(sorted.map(([key, value]) => [Buffer.from(key).toString("hex"), value.length]));
    }),
    { numRuns: 50, seed: 1 },
  );
});

test("a torn meta leaves the other one in force, two torn ones are refused", () => {
  const bytes = image(new Map([["b", numbered(10, 4)]]));
  bytes[20] = 0xff;
  expect(rowsOf(reader(bytes), "b")).toHaveLength(10);
  bytes[1024 + 20] = 0xff;
  expect(() => reader(bytes)).toThrow(ImageFormatError);
});

test("a damaged page gives an error or the same rows, never an endless walk", () => {
  const bytes = image(new Map([["b", numbered(200, 4)]]));
  for (let at = 2048; at < bytes.length; at += 7) {
    const damaged = bytes.slice();
    damaged[at] = (damaged[at] ?? 0) ^ 0x41;
    try {
      expect(rowsOf(reader(damaged), "b").length).toBeLessThanOrEqual(5000);
    } catch (error) {
      expect(error).toBeInstanceOf(ImageFormatError);
    }
  }
});

test("who reads all rows asks for the pages in the order of the file", () => {
  const bytes = image(
    new Map([
      ["alarm", []],
      ["key", [...numbered(3000, 30), [Buffer.from("z"), new Uint8Array(5000)] as Row]],
      ["meta", numbered(3, 3)],
    ]),
  );
  const offsets: number[] = [];
  const read = runToEnd(
    ImageReader.open((offset, length) => {
      // The metas and the root are looked at again and again.
      if (offset >= 3 * 1024) offsets.push(offset);
      return bytes.subarray(offset, offset + length);
    }),
  );
  for (const bucket of ["alarm", "key", "meta"]) expect(rowsOf(read, bucket).length).toBeGreaterThanOrEqual(0);
  expect(offsets.length).toBeGreaterThan(100);
  expect(offsets).toEqual(offsets.toSorted((a, b) => a - b));
});
