import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { fileDescriptorLimit, memoryFacts, registerProcessMetrics } from "./process-metrics.js";

test("figures of this process", async () => {
  const registry = new Registry();
  registerProcessMetrics(registry);
  const text = await registry.metrics();
  const value = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);
  expect(value("process_resident_memory_bytes")).toBeGreaterThan(1e6);
  expect(value("go_memstats_heap_alloc_bytes")).toBeGreaterThan(1e5);
  expect(value("process_start_time_seconds")).toBeGreaterThan(1.7e9);
  expect(value("os_fd_used")).toBeGreaterThan(3);
  expect(value("os_fd_limit")).toBe(fileDescriptorLimit());
  expect(memoryFacts()["HeapAlloc"]).toBeGreaterThan(1e5);
});

test("how late the loop was, by quantile", async () => {
  const registry = new Registry();
  registerProcessMetrics(registry);
  const delays = (await registry.metrics()).matchAll(/^etcd_ts_event_loop_delay_seconds\{quantile="(\S+)"\} (\S+)$/gm);
  const found = [...delays].map(([, quantile, seconds]) => ({ quantile, seconds: Number(seconds) }));
  expect(found.map(({ quantile }) => quantile)).toEqual(["0.5", "0.99", "0.999", "1"]);
  const seconds = found.map((each) => each.seconds);
  expect(seconds).toEqual(seconds.toSorted((a, b) => a - b));
});
