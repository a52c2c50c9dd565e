import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ChunkPool, chunkBytes, Output } from "./output.js";

describe("Output", () => {
  it("keeps everything in order, each piece in one chunk", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 20_000 }), { maxLength: 40 }), (sizes) => {
        const output = new Output(new ChunkPool());
        sizes.forEach((size, i) => {
          const at = output.reserve(size);
          output.bytes.fill(i + 1, at, at + size);
        });
        expect(output.sizeBytes).toBe(sizes.reduce((sum, size) => sum + size, 0));
        const written = output.take().flatMap(({ bytes, lengthBytes }) => [...bytes.subarray(0, lengthBytes)]);
        expect(written).toEqual(sizes.flatMap((size, i) => Array(size).fill(i + 1)));
        expect(output.sizeBytes).toBe(0);
        expect(output.take()).toEqual([]);
      }),
      { numRuns: 20 },
    );
  });
});

describe("ChunkPool", () => {
  it("gives chunks back that it was given, up to its limit", () => {
    let made = 0;
    const pool = new ChunkPool((size) => {
      made++;
      return new Uint8Array(size);
    }, 1);
    const [first, second] = [pool.acquire(), pool.acquire()];
    expect(first).toHaveLength(chunkBytes);
    pool.release(first);
    pool.release(second);
    expect(pool.acquire()).toBe(first);
    expect(pool.acquire()).not.toBe(second);
    expect(made).toBe(3);
  });

  it("makes segments that are large enough, a quarter too large at most, and keeps 32 MiB", () => {
    const pool = new ChunkPool();
    for (const size of [0, 1, 4096, 4097, 16_384, 20_000, 300_000, 1 << 20, (1 << 20) + 1, 5_000_000]) {
      const segment = pool.acquireSegment(size);
      expect(segment.length).toBeGreaterThanOrEqual(size);
      expect(segment.length).toBeLessThanOrEqual(size * 1.25 + 4096);
    }
    const segments = Array.from({ length: 40 }, () => pool.acquireSegment(1 << 20));
    for (const segment of segments) pool.releaseSegment(segment);
    const again = Array.from({ length: 40 }, () => pool.acquireSegment(1 << 20));
    expect(again.filter((segment) => segments.includes(segment))).toHaveLength(32);
  });
});
