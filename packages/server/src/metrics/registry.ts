/** Turns what a member counted into Prometheus' text format. */

import { Registry } from "prom-client";
import { type Family, families, type Series } from "./families.js";
import { formatBound, type Histogram } from "./histogram.js";
import type { MemberMetrics } from "./member-metrics.js";

export interface MetricsRegistryOptions {
  /** Called before each exposition, so that fields which mirror a state can be brought up to date. */
  readonly refresh: () => void;
  /** Adds the families of the process, which only the real zone can read. */
  readonly registerProcess?: (registry: Registry) => void;
}

export class MetricsRegistry {
  readonly #registry = new Registry();
  readonly #refresh: () => void;
  #scrapes = 0;
  #scrapesUnderWay = 0;

  constructor(metrics: MemberMetrics, { refresh, registerProcess }: MetricsRegistryOptions) {
    this.#refresh = refresh;
    registerProcess?.(this.#registry);
    for (const family of [...families, ...this.#ownFamilies()]) {
      // A registry asks its metrics for nothing but `name` and `get`; the rest of prom-client's class counts by itself.
      const metric = { name: family.name, get: () => Promise.resolve(collect(family, metrics)) };
      this.#registry.registerMetric(metric as unknown as Parameters<Registry["registerMetric"]>[0]);
    }
  }

  get contentType(): string {
    return `${this.#registry.contentType}; escaping=underscores`;
  }

  async exposition(): Promise<string> {
    this.#scrapesUnderWay++;
    try {
      this.#refresh();
      const text = await this.#registry.metrics();
      this.#scrapes++;
      return text;
    } finally {
      this.#scrapesUnderWay--;
    }
  }

  #ownFamilies(): readonly Family[] {
    return [
      {
        name: "promhttp_metric_handler_requests_in_flight",
        type: "gauge",
        help: "Scrapes under way.",
        labels: [],
        read: () => [{ labels: [], value: this.#scrapesUnderWay }],
      },
      {
        name: "promhttp_metric_handler_requests_total",
        type: "counter",
        help: "Scrapes answered.",
        labels: ["code"],
        read: () => [
          { labels: ["200"], value: this.#scrapes },
          { labels: ["500"], value: 0 },
          { labels: ["503"], value: 0 },
        ],
      },
    ];
  }
}

/** What prom-client's registry asks of a metric. */
interface Collected {
  readonly name: string;
  readonly help: string;
  readonly type: Family["type"];
  readonly values: readonly Sample[];
}

interface Sample {
  /** When it differs from the family's. */
  readonly metricName?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

function collect({ name, help, type, labels, read }: Family, metrics: MemberMetrics): Collected {
  const values: Sample[] = [];
  for (const series of read(metrics)) values.push(...samplesOf({ name, labels }, series));
  return { name, help, type, values };
}

function samplesOf(family: Pick<Family, "labels" | "name">, series: Series): readonly Sample[] {
  const labels: Record<string, string> = {};
  for (const [index, label] of family.labels.entries()) labels[label] = series.labels[index] ?? "";
  if ("value" in series) return [{ labels, value: series.value }];
  return histogramSamples(family.name, labels, series.histogram);
}

function histogramSamples(
  name: string,
  labels: Readonly<Record<string, string>>,
  histogram: Histogram,
): readonly Sample[] {
  const values: Sample[] = [];
  let cumulative = 0;
  for (const [index, bound] of histogram.bounds.entries()) {
    cumulative += histogram.counts[index] ?? 0;
    values.push({ metricName: `${name}_bucket`, labels: { ...labels, le: formatBound(bound) }, value: cumulative });
  }
  values.push({ metricName: `${name}_bucket`, labels: { ...labels, le: "+Inf" }, value: histogram.count });
  values.push({ metricName: `${name}_sum`, labels, value: histogram.sum });
  values.push({ metricName: `${name}_count`, labels, value: histogram.count });
  return values;
}
