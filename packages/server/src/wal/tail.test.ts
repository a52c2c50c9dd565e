import { describe, expect, test } from "vitest";
import { nodeDigest } from "../platform/digest.js";
import { Framer } from "./framer.js";
import { isZero, judgeTail, type TailVerdict } from "./tail.js";

const sector = 512;

/** Two batches: six entries of 300 bytes behind a checksum record, then two more. Offsets are those of the records. */
function batches(): { bytes: Uint8Array; starts: number[]; secondBatch: number } {
  const framer = new Framer(nodeDigest, 7);
  const starts: number[] = [];
  const entry = (index: number): void => {
    starts.push(framer.size);
    framer.entry({ type: 0, term: 1, index, data: new Uint8Array(300).fill(index) });
  };
  framer.checksum();
  for (let i = 1; i <= 6; i++) entry(i);
  const secondBatch = framer.size;
  framer.checksum();
  entry(7);
  entry(8);
  return { bytes: new Uint8Array(Buffer.concat(framer.take())), starts, secondBatch };
}

/** What is made of the log from its first entry on, if that is where reading stopped. */
function judge(bytes: Uint8Array, from: number, marked = true): TailVerdict {
  return judgeTail({ bytes: bytes.subarray(from), offset: from, crc: 7, marked }, nodeDigest);
}

function withZeros(bytes: Uint8Array, from: number, to: number): Uint8Array {
  return bytes.slice().fill(0, from, to);
}

describe("a lost sector", () => {
  const { bytes, starts, secondBatch } = batches();
  const from = starts[0] ?? 0;

  test("of the last batch is a torn write, although whole records follow", () => {
    const lastBatch = bytes.subarray(0, secondBatch);
    expect(judge(withZeros(lastBatch, from, sector), from)).toEqual({ kind: "torn" });
    expect(judge(withZeros(lastBatch, from + 8, sector), from)).toEqual({ kind: "torn" });
  });

  test("of an earlier batch is damage: it was synced before the next was written", () => {
    expect(judge(withZeros(bytes, from, sector), from).kind).toBe("corrupt");
    expect(judge(withZeros(bytes, from + 8, sector), from).kind).toBe("corrupt");
  });

  test("is damage if any records follow, where batches are not marked", () => {
    const lastBatch = bytes.subarray(0, secondBatch);
    expect(judge(withZeros(lastBatch, from, sector), from, false).kind).toBe("corrupt");
    expect(judge(withZeros(lastBatch, from, lastBatch.length - 8), from, false).kind).toBe("torn");
  });
});

test("a sector that ends with a length field is lost, and the record's own sector is not", () => {
  const framer = new Framer(nodeDigest, 7);
  framer.entry({ type: 0, term: 1, index: 1, data: new Uint8Array(300) });
  const record = new Uint8Array(Buffer.concat(framer.take()));
  record.fill(0, 0, 8);
  const at = (offset: number): TailVerdict => judgeTail({ bytes: record, offset, crc: 7, marked: true }, nodeDigest);
  expect(at(sector - 8)).toEqual({ kind: "torn" });
  expect(at(sector - 16).kind).toBe("corrupt");
});

describe("what is not zero is no torn write", () => {
  const { bytes, starts } = batches();
  const from = starts[0] ?? 0;

  test("a record whose data is wrong", () => {
    const damaged = bytes.slice();
    damaged[from + 100] = 0xff;
    expect(judge(damaged, from).kind).toBe("corrupt");
  });

  test("a length field of 0 in a sector that goes on", () => {
    expect(judge(withZeros(bytes, from, from + 8), from).kind).toBe("corrupt");
    expect(judge(withZeros(bytes, from, from + 20), from).kind).toBe("corrupt");
  });

  test("a whole record whose length reaches beyond the file", () => {
    const damaged = bytes.slice();
    damaged[from + 5] = 1;
    expect(judge(damaged, from)).toEqual({ kind: "corrupt", reason: "damaged length field" });
  });
});

test("a cut record is torn, zeros are the end", () => {
  const { bytes, starts } = batches();
  const from = starts[0] ?? 0;
  for (let length = 1; length < (starts[1] ?? 0) - from; length++) {
    expect(judge(bytes.subarray(0, from + length), from).kind).toBe("torn");
  }
  expect(judge(new Uint8Array(5000), 100)).toEqual({ kind: "end" });
});

test("a byte that is not zero is found wherever it lies", () => {
  for (let size = 0; size < 20; size++) {
    for (let lo = 0; lo <= 8; lo++) {
      const bytes = new Uint8Array(48).fill(1);
      bytes.fill(0, lo, lo + size);
      expect(isZero(bytes, lo, lo + size)).toBe(true);
      for (let at = lo; at < lo + size; at++) {
        const other = bytes.slice();
        other[at] = 1;
        expect(isZero(other, lo, lo + size)).toBe(false);
      }
    }
  }
});
