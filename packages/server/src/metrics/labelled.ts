/** Counters, gauges and histograms that are told apart by labels. */

import { Histogram } from "./histogram.js";

/** Label values in the order of the family's label names. */
export type LabelValues = readonly string[];

/** A cell is `series.with(…)`, to be kept by whoever counts often. */
export interface Cell {
  readonly labels: LabelValues;
  value: number;
}

/** Numbers by label values. A series exists from the first `with` on. */
export class LabelledNumbers {
  readonly #cells = new Map<string, Cell>();

  with(...labels: LabelValues): Cell {
    const key = labels.join("\0");
    const known = this.#cells.get(key);
    if (known !== undefined) return known;
    const cell = { labels, value: 0 };
    this.#cells.set(key, cell);
    return cell;
  }

  get size(): number {
    return this.#cells.size;
  }

  cells(): Iterable<Cell> {
    return this.#cells.values();
  }
}

/** Histograms by label values, all with the same bounds. */
export class LabelledHistograms {
  readonly #bounds: readonly number[];
  readonly #histograms = new Map<string, { readonly labels: LabelValues; readonly histogram: Histogram }>();

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
  }

  with(...labels: LabelValues): Histogram {
    const key = labels.join("\0");
    const known = this.#histograms.get(key);
    if (known !== undefined) return known.histogram;
    const histogram = new Histogram(this.#bounds);
    this.#histograms.set(key, { labels, histogram });
    return histogram;
  }

  histograms(): Iterable<{ readonly labels: LabelValues; readonly histogram: Histogram }> {
    return this.#histograms.values();
  }
}
