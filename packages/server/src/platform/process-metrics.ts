/**
 * Metrics of the process, under the names Go's and etcd's collectors give them, and those of Node.js under
 * prom-client's. Source: prometheus client_golang process_collector.go, etcd server/etcdserver/metrics.go.
 */

import { readdirSync, readFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { collectDefaultMetrics, Gauge, type Registry } from "prom-client";

/** Adds the families to a registry; they are read at each scrape. */
export function registerProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry });
  registerLoopDelay(registry);
  for (const [name, help, read] of gauges) {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  }
}

/** Milliseconds between two looks at how late the loop is. */
const loopResolutionMs = 10;
const loopQuantiles = [0.5, 0.99, 0.999, 1] as const;

/**
 * How late the event loop was, since the start; prom-client's own gauges begin anew with each scrape, and stop at 0.99.
 * A delay of a heartbeat interval is a heartbeat that came late.
 */
function registerLoopDelay(registry: Registry): void {
  const monitor = monitorEventLoopDelay({ resolution: loopResolutionMs });
  monitor.enable();
  new Gauge({
    name: "etcd_ts_event_loop_delay_seconds",
    help: "How late the event loop was, since the start; quantile 1 is the longest delay.",
    labelNames: ["quantile"],
    registers: [registry],
    collect() {
      for (const quantile of loopQuantiles) {
        // The monitor measures from one look to the next, the time it means to sleep included.
        const seconds = monitor.percentile(quantile * 100) / 1e9 - loopResolutionMs / 1000;
        this.set({ quantile }, Math.max(0, seconds));
      }
    },
  });
}

/** How many files the process may have open; 0 where the system does not tell. */
export function fileDescriptorLimit(): number {
  return Number(/^Max open files\s+(\d+)/m.exec(readProc("/proc/self/limits"))?.[1] ?? 0);
}

/** Bytes, by the names of Go's runtime.MemStats where they have a counterpart. */
export function memoryFacts(): Readonly<Record<string, number>> {
  const { rss, heapTotal, heapUsed, external, arrayBuffers } = process.memoryUsage();
  return {
    Alloc: heapUsed,
    Sys: rss,
    HeapAlloc: heapUsed,
    HeapSys: heapTotal,
    External: external,
    ArrayBuffers: arrayBuffers,
  };
}

const gauges: readonly (readonly [name: string, help: string, read: () => number])[] = [
  ["os_fd_used", "Open files.", openFiles],
  ["os_fd_limit", "Files that may be open.", fileDescriptorLimit],
  ["go_memstats_alloc_bytes", "Bytes of objects on the heap.", () => process.memoryUsage().heapUsed],
  ["go_memstats_heap_alloc_bytes", "Bytes of objects on the heap.", () => process.memoryUsage().heapUsed],
  ["go_memstats_heap_sys_bytes", "Bytes of the heap.", () => process.memoryUsage().heapTotal],
  ["go_memstats_sys_bytes", "Bytes obtained from the system.", () => process.memoryUsage().rss],
];

function openFiles(): number {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return 0; // Not Linux.
  }
}

function readProc(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // Not Linux.
  }
}
