/** Latencies with a resolution of 1.6 %, from 0.1 µs to an hour, in fixed memory. */

const unitsPerMs = 10_000;
const subBucketBits = 6;
const bucketCount = 2048;

export class Histogram {
  readonly #counts = new Uint32Array(bucketCount);
  count = 0;

  record(ms: number): void {
    const bucket = bucketOf(Math.round(ms * unitsPerMs));
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.count++;
  }

  /** The latency in milliseconds that the share `quantile` of calls did not exceed; 0 when nothing was recorded. */
  quantileMs(quantile: number): number {
    let left = Math.ceil(this.count * quantile);
    for (let bucket = 0; bucket < bucketCount; bucket++) {
      left -= this.#counts[bucket] ?? 0;
      if (left <= 0 && this.count > 0) {
        return latencyOf(bucket) / unitsPerMs;
      }
    }
    return 0;
  }
}

function bucketOf(units: number): number {
  if (units < 2 << subBucketBits) {
    return Math.max(units, 0);
  }
  const shift = 31 - Math.clz32(units) - subBucketBits;
  return (shift << subBucketBits) + (units >> shift);
}

function latencyOf(bucket: number): number {
  if (bucket < 2 << subBucketBits) {
    return bucket;
  }
  const shift = (bucket >> subBucketBits) - 1;
  return (bucket - (shift << subBucketBits)) << shift;
}
