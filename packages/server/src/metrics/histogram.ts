/** A histogram that is counted in plain numbers and turned into Prometheus series only when somebody looks. */
export class Histogram {
  /** Upper bounds of the buckets, inclusive, ascending. */
  readonly bounds: readonly number[];
  /** How many values fell into each bucket (not cumulative); one more than bounds, for what is above all of them. */
  readonly counts: Float64Array;
  sum = 0;
  count = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    let bucket = 0;
    // Values cluster in the low buckets, where a scan is quicker than halving.
    while (bucket < this.bounds.length && value > (this.bounds[bucket] ?? 0)) bucket++;
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1;
    this.sum += value;
    this.count++;
  }
}

/** `count` bounds, each `factor` times the one before. Source: prometheus client_golang ExponentialBuckets. */
export function exponentialBounds(start: number, factor: number, count: number): readonly number[] {
  const bounds: number[] = [];
  let bound = start;
  for (let index = 0; index < count; index++) {
    bounds.push(bound);
    bound *= factor;
  }
  return bounds;
}

/**
 * A bound as Go prints it: label values are compared as text, so that series of Go members and ours must agree.
 * Source: Go strconv.FormatFloat(bound, 'g', -1, 64).
 */
export function formatBound(bound: number): string {
  const [digits = "", exponentText = "0"] = bound.toExponential().split("e");
  const exponent = Number(exponentText);
  if (exponent >= -4 && exponent < 6) return String(bound);
  const size = String(Math.abs(exponent)).padStart(2, "0");
  return `${digits}e${exponent < 0 ? "-" : "+"}${size}`;
}
