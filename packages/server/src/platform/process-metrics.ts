/**
 * Metrics of the process, under the names Go's and etcd's collectors give them, and those of Node.js under
 * prom-client's. Source: prometheus client_golang process_collector.go, etcd server/etcdserver/metrics.go.
 */

import { readdirSync, readFileSync } from "node:fs";
import { collectDefaultMetrics, Gauge, type Registry } from "prom-client";

/** Adds the families to a registry; they are read at each scrape. */
export function registerProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry });
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
