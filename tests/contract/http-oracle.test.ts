/**
 * HTTP of the client port, Go etcd's answers beside ours: the same requests to both, compared in status, headers and
 * body. Ids, terms and sizes are left out, and what `docs/compat.md` says is different on purpose is not asked.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { type IncomingHttpHeaders, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Etcd, startEtcd } from "@etcd-ts/server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Member } from "../interop/support/member.js";
import { freePort } from "../interop/support/ports.js";

let go: Member;
let ours: Etcd;
let directory: string;
let ports: { readonly go: number; readonly ours: number };

beforeAll(async () => {
  const command = [join(import.meta.dirname, "../interop/bin/etcd")];
  go = await Member.start({ name: "m", command, flags: ["--max-txn-ops=3"] });
  directory = mkdtempSync(join(tmpdir(), "etcd-http-"));
  const [client, peer] = [await freePort(), `http://127.0.0.1:${await freePort()}`];
  const url = `http://127.0.0.1:${client}`;
  ours = await startEtcd({
    name: "m",
    "data-dir": directory,
    "max-txn-ops": "3",
    "log-level": "error",
    "listen-client-urls": url,
    "advertise-client-urls": url,
    "initial-advertise-peer-urls": peer,
    "listen-peer-urls": peer,
    "initial-cluster": `m=${peer}`,
  });
  ports = { go: go.port, ours: client };
});

afterAll(async () => {
  await ours?.close();
  await go?.close();
  rmSync(directory, { recursive: true, force: true });
});

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Goes away after so many lines of the body; without it the answer must end. */
  readonly lines?: number;
}

interface Answered {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
}

const comparedHeaders = [
  "access-control-allow-headers",
  "access-control-allow-methods",
  "access-control-allow-origin",
  "allow",
  "content-type",
  "grpc-metadata-content-type",
  "location",
  "www-authenticate",
  "x-content-type-options",
] as const;

function ask(port: number, { method, path, headers = {}, body, lines }: Asked): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const call = request({ host: "127.0.0.1", port, method, path, headers, agent: false }, (response) => {
      let text = "";
      const done = () =>
        resolve({ status: response.statusCode ?? 0, headers: pick(response.headers), body: normal(text) });
      response.setEncoding("utf8");
      response.on("data", (part: string) => {
        text += part;
        if (lines === undefined || text.split("\n").length <= lines) return;
        done();
        call.destroy();
      });
      response.on("end", done);
      response.on("error", reject);
    });
    call.on("error", reject);
    call.end(body);
  });
}

function pick(headers: IncomingHttpHeaders): Answered["headers"] {
  return Object.fromEntries(comparedHeaders.map((name) => [name, headers[name]?.toString()]));
}

function normal(body: string): string {
  return body
    .replace(/"(cluster_id|member_id|leader|raft_term|raftTerm|dbSize|dbSizeInUse|remaining_bytes)":"\d+"/g, '"$1":"…"')
    .replace(/("ID":"\d{10,}"|"(peer|client)URLs":\[[^\]]*\])/g, "…")
    .replace(/"hash":\d+/g, '"hash":…')
    .replace(/:\d{4,5}"/g, ':…"')
    .split("\n")
    .toSorted(byCheck)
    .join("\n");
}

/** The lines of /readyz come in any order. */
function byCheck(a: string, b: string): number {
  return a.startsWith("[") && b.startsWith("[") ? (a < b ? -1 : 1) : 0;
}

async function compare(asked: Asked): Promise<Answered> {
  const expected = await ask(ports.go, asked);
  expect(await ask(ports.ours, asked)).toEqual(expected);
  return expected;
}

describe("plain HTTP", () => {
  test.each([
    "/version",
    "/health",
    "/health?serializable=true",
    "/health?exclude=NOSPACE&serializable=foo",
    "/livez",
    "/livez?verbose",
    "/livez/serializable_read?verbose",
    "/livez/foo",
    "/readyz",
    "/readyz?verbose",
    "/readyz?exclude=serializable_read&exclude=foo&verbose",
    "/readyz/non_learner?verbose",
    "/foo",
    "/",
    "/version/",
    "//version",
    "/a/../health?x=1",
    "/v3",
    "/v3/",
    "/debug/pprof/",
  ])("%s", async (path) => {
    for (const method of ["GET", "POST", "HEAD", "OPTIONS"]) {
      await compare({ method, path });
    }
  });

  test("an alarm", async () => {
    const alarm = (action: string, kind: string) =>
      compare({
        method: "POST",
        path: "/v3/maintenance/alarm",
        body: `{"action":"${action}","memberID":1,"alarm":"${kind}"}`,
      });
    await alarm("ACTIVATE", "NOSPACE");
    await compare({ method: "GET", path: "/health" });
    await alarm("ACTIVATE", "CORRUPT");
    // Which of two alarms /health names is chance with Go, whose maps have no order.
    for (const path of [
      "/health?exclude=NOSPACE",
      "/readyz",
      "/readyz/data_corruption",
      "/readyz?exclude=data_corruption",
    ]) {
      await compare({ method: "GET", path });
    }
    await alarm("DEACTIVATE", "CORRUPT");
    await alarm("DEACTIVATE", "NOSPACE");
    expect((await compare({ method: "GET", path: "/health" })).status).toBe(200);
  });

  test("metric families, but for those of bbolt, the v2 store and Go's runtime", async () => {
    const families = async (port: number) => {
      const { body } = await ask(port, { method: "GET", path: "/metrics" });
      return new Set([...body.matchAll(/^# TYPE (\S+ \S+)$/gm)].map(([, family = ""]) => family));
    };
    const theirs = await families(ports.go);
    const mine = await families(ports.ours);
    const missing = [...theirs].filter(
      (family) => !mine.has(family) && !/^(go_|process_network|process_virtual)/.test(family),
    );
    expect(missing).toEqual([
      "etcd_debugging_disk_backend_commit_rebalance_duration_seconds histogram",
      "etcd_debugging_disk_backend_commit_spill_duration_seconds histogram",
      "etcd_debugging_snap_save_marshalling_duration_seconds histogram",
      "etcd_debugging_snap_save_total_duration_seconds histogram",
      "etcd_snap_fsync_duration_seconds histogram",
    ]);
  });
});

describe("the JSON gateway", () => {
  // In order: later ones read what earlier ones wrote.
  test.each([
    ["/v3/kv/put", '{"key":"Zm9v","value":"YmFy"}'],
    ["/v3/kv/range", '{"key":"Zm9v"}'],
    ["/v3beta/kv/range", '{"key":"Zm9v"}'],
    ["/v3/kv/range", '{"key":"Zm9v","rangeEnd":"Zm9w","countOnly":true}'],
    ["/v3/kv/range", '{"key":"Zm9v","range_end":"AA==","rangeEnd":"AA=="}'],
    ["/v3/kv/range", '{"key":"Zm9v","limit":5.0}'],
    ["/v3/kv/range", '{"key":"Zm9v","limit":5.5}'],
    ["/v3/kv/range", '{"key":"Zm9v","limit":"x"}'],
    ["/v3/kv/range", '{"key":"!!"}'],
    ["/v3/kv/range", '{"key":5}'],
    ["/v3/kv/range", '{"key":null}'],
    ["/v3/kv/range", ""],
    ["/v3/kv/range", "{"],
    ["/v3/kv/range", "[]"],
    ["/v3/kv/range", "null"],
    ["/v3/kv/range", '{"key":"Zm9v","unknown":{"a":[1]}} garbage'],
    ["/v3/kv/range", '{"key":"Zm9v",}'],
    ["/v3/kv/range", '{"key":"Zm9v","sort_order":"DESCEND","sort_target":1}'],
    ["/v3/kv/range", '{"key":"Zm9v","sort_order":9}'],
    ["/v3/kv/range", '{"key":"Zm9v","revision":"100"}'],
    ["/v3/kv/txn", '{"success":[{"requestPut":{"key":"Zm9v","value":"YmFy"}},{"request_range":{"key":"Zm9v"}}]}'],
    ["/v3/kv/txn", '{"compare":[{"target":"VALUE","key":"Zm9v","value":"YmFy","version":1}]}'],
    ["/v3/kv/txn", `{"success":[${Array(4).fill('{"requestPut":{"key":"YQ=="}}').join(",")}]}`],
    ["/v3/kv/compaction", '{"revision":"1000"}'],
    ["/v3/kv/deleterange", '{"key":"eA==","prev_kv":true}'],
    ["/v3/lease/grant", '{"TTL":1000,"ID":"77"}'],
    ["/v3/lease/grant", '{"TTL":1000,"ID":77}'],
    ["/v3/lease/timetolive", '{"ID":"1","keys":true}'],
    ["/v3/lease/revoke", '{"ID":"1"}'],
    ["/v3/lease/keepalive", '{"ID":"77"}{"ID":"7"}\n'],
    ["/v3/lease/leases", "{}"],
    ["/v3/kv/lease/revoke", '{"ID":"77"}'],
    ["/v3/cluster/member/list", "{}"],
    ["/v3/maintenance/status", "{}"],
    ["/v3/kv/range/", "{}"],
    ["/v3/foo", "{}"],
  ])("%s %s", async (path, body) => {
    await compare({ method: "POST", path, body });
  });

  test.each(["GET", "PUT", "HEAD"])("%s is not allowed", async (method) => {
    await compare({ method, path: "/v3/kv/range" });
  });

  test("a request beyond the limit", async () => {
    const body = JSON.stringify({ key: "Zm9v", value: Buffer.alloc(2_200_000).toString("base64") });
    expect((await compare({ method: "POST", path: "/v3/kv/put", body })).status).toBe(429);
  });

  test.each([
    { "grpc-timeout": "1n" },
    { "grpc-timeout": "x" },
    { "grpc-timeout": "5S" },
    { "grpc-metadata-foo-bin": "!!" },
    { "grpc-metadata-hasleader": "true" },
    { authorization: "none" },
  ])("headers %j", async (headers) => {
    await compare({ method: "POST", path: "/v3/kv/range", body: '{"key":"Zm9v"}', headers });
  });

  test.each([
    [2, '{"create_request":{"key":"Zm9v","start_revision":1}}'],
    [2, '{"create_request":{"key":"Zm9v"}}{"cancel_request":{"watch_id":0}}'],
    [1, '{"create_request":{"key":"Zm9v"}}\n'],
  ])("watch, %d lines of %s", async (lines, body) => {
    await compare({ method: "POST", path: "/v3/watch", body, lines });
  });

  test("a deadline ends a watch", async () => {
    const headers = { "grpc-timeout": "300m" };
    const asked = { method: "POST", path: "/v3/watch", body: '{"create_request":{"key":"Zm9v"}}', headers };
    // Go's text depends on which of its two timers is first.
    expect((await ask(ports.go, asked)).body).toMatch(/\n\{"error":\{"code":4,"message":"[^"]*"\}\}\n$/);
    expect((await ask(ports.ours, asked)).body).toMatch(
      /\n\{"error":\{"code":4,"message":"context deadline exceeded"\}\}\n$/,
    );
  });
});
