import { expect, test } from "vitest";
import { families } from "./families.js";
import { exponentialBounds, formatBound, Histogram } from "./histogram.js";
import { MemberMetrics } from "./member-metrics.js";
import { MetricsRegistry } from "./registry.js";

async function expose(change: (metrics: MemberMetrics) => void, extensive = false): Promise<readonly string[]> {
  const metrics = new MemberMetrics({ extensive });
  const registry = new MetricsRegistry(metrics, { refresh: () => change(metrics) });
  return (await registry.exposition()).split("\n");
}

test("plain numbers", async () => {
  const lines = await expose((metrics) => {
    metrics.hasLeader = 1;
    metrics.puts = 3;
  });
  expect(lines).toContain("# TYPE etcd_server_has_leader gauge");
  expect(lines).toContain("etcd_server_has_leader 1");
  expect(lines).toContain("# TYPE etcd_mvcc_put_total counter");
  expect(lines).toContain("etcd_mvcc_put_total 3");
});

test("histograms are cumulative", async () => {
  const lines = await expose(({ walFsyncSeconds }) => {
    for (const seconds of [0.0005, 0.001, 0.0011, 100]) walFsyncSeconds.observe(seconds);
  });
  const name = "etcd_disk_wal_fsync_duration_seconds";
  expect(lines).toContain(`# TYPE ${name} histogram`);
  expect(lines.filter((line) => line.startsWith(name))).toEqual([
    `${name}_bucket{le="0.001"} 2`,
    ...exponentialBounds(0.002, 2, 13).map((bound) => `${name}_bucket{le="${bound}"} 3`),
    `${name}_bucket{le="+Inf"} 4`,
    `${name}_sum 100.0026`,
    `${name}_count 4`,
  ]);
});

test("labels", async () => {
  const lines = await expose((metrics) => {
    metrics.memberId = "2e1259d415f2a040";
    metrics.applySeconds.with("Put", "true", "v3").observe(0.5);
    metrics.healthChecks.with("data_corruption", "error", "readyz").value++;
    metrics.peer(metrics.memberId);
    metrics.peer("abc").sentBytes = 7;
  });
  expect(lines).toEqual(
    expect.arrayContaining([
      'etcd_server_id{server_id="2e1259d415f2a040"} 1',
      'etcd_server_apply_duration_seconds_bucket{op="Put",success="true",version="v3",le="0.4096"} 0',
      'etcd_server_apply_duration_seconds_bucket{op="Put",success="true",version="v3",le="0.8192"} 1',
      'etcd_server_healthchecks_total{name="data_corruption",status="error",type="readyz"} 1',
      'etcd_network_known_peers{Local="2e1259d415f2a040",Remote="2e1259d415f2a040"} 1',
      'etcd_network_known_peers{Local="2e1259d415f2a040",Remote="abc"} 1',
      'etcd_network_peer_sent_bytes_total{To="abc"} 7',
    ]),
  );
  expect(lines.filter((line) => line.startsWith("etcd_network_peer_sent_bytes_total"))).toHaveLength(1);
});

test("calls are counted by method and status; locks appear with their first call", async () => {
  const change = (metrics: MemberMetrics) => {
    const put = metrics.grpcMethods.get("/etcdserverpb.KV/Put")!;
    put.started = 2;
    put.handled[5] = 1;
    put.handlingSeconds?.observe(0.01);
  };
  const labels = 'grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"';
  const lines = await expose(change, true);
  expect(lines).toContain(`grpc_server_started_total{${labels}} 2`);
  expect(lines).toContain(`grpc_server_handled_total{grpc_code="NotFound",${labels}} 1`);
  expect(lines).toContain(`grpc_server_handled_total{grpc_code="OK",${labels}} 0`);
  expect(lines).toContain(`grpc_server_handling_seconds_bucket{${labels},le="0.01"} 1`);
  expect(lines.some((line) => line.includes("v3lockpb"))).toBe(false);
  expect((await expose(change)).some((line) => line.startsWith("grpc_server_handling_seconds_"))).toBe(false);
  const locked = await expose((metrics) => {
    metrics.grpcMethods.get("/v3lockpb.Lock/Lock")!.started = 1;
  });
  expect(locked.some((line) => line.includes('grpc_service="v3lockpb.Lock"'))).toBe(true);
});

test("bounds are printed as Go prints them", () => {
  expect([0.0001, 0.5, 524288, 1048576, 8388608, 0.00005].map(formatBound)).toEqual([
    "0.0001",
    "0.5",
    "524288",
    "1.048576e+06",
    "8.388608e+06",
    "5e-05",
  ]);
});

test("a value at a bound belongs below it", () => {
  const histogram = new Histogram([1, 2]);
  for (const value of [1, 2, 3]) histogram.observe(value);
  expect([...histogram.counts]).toEqual([1, 1, 1]);
});

test("names are unique and in order", () => {
  const names = families.map((family) => family.name);
  expect(names).toEqual([...new Set(names)].sort());
});
