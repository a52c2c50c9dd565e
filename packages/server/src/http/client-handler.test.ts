import { beforeEach, describe, expect, test } from "vitest";
import { MemberMetrics } from "../metrics/member-metrics.js";
import {
  type ClientHandlerParts,
  createClientHandler,
  createMetricsHandler,
  type MemberProbe,
  type RaftStatus,
} from "./client-handler.js";
import { ask, type FakeRequest } from "./testing/fake-exchange.js";

// Bodies and headers are those of etcd 3.7.3, asked with curl.

const raftStatus: RaftStatus = {
  id: 0x2e1259d415f2a040n,
  term: 2,
  vote: 0x2e1259d415f2a040n,
  commit: 8,
  lead: 0x2e1259d415f2a040n,
  raftState: "StateLeader",
  applied: 8,
  leadTransferee: 0n,
  progress: [{ id: 0x2e1259d415f2a040n, match: 8, next: 9, state: "StateReplicate" }],
};

interface State {
  alarms: string[];
  hasLeader: boolean;
  isLearner: boolean;
  serializableError: string | undefined;
  linearizableError: string | undefined;
  clusterVersion: string | undefined;
}

let state: State;
let counts: MemberMetrics;

beforeEach(() => {
  state = {
    alarms: [],
    hasLeader: true,
    isLearner: false,
    serializableError: undefined,
    linearizableError: undefined,
    clusterVersion: "3.7.0",
  };
  counts = new MemberMetrics({ extensive: false });
});

const probe: MemberProbe = {
  alarms: () => state.alarms,
  hasLeader: () => state.hasLeader,
  isLearner: () => state.isLearner,
  serializableRead: async () => state.serializableError,
  linearizableRead: async () => state.linearizableError,
  clusterVersion: () => state.clusterVersion,
  storageVersion: () => state.clusterVersion,
  raftStatus: () => raftStatus,
};

function parts(access: Partial<ClientHandlerParts["access"]> = {}): ClientHandlerParts {
  return {
    probe,
    counts,
    metrics: { contentType: "text/plain; version=0.0.4; charset=utf-8", exposition: async () => "up 1\n" },
    logger: { log: () => undefined },
    access: { cors: ["*"], hostWhitelist: ["*"], refusesCommonName: () => false, ...access },
    process: {
      runtimeVersion: "node v20.19.0",
      commandLine: ["etcd", "--name=a"],
      fileDescriptorLimit: 1024,
      memory: () => ({ HeapAlloc: 5 }),
    },
    gateway: (exchange) => exchange.respond(200, {}, `gateway ${exchange.target}`),
  };
}

function get(target: string, request?: FakeRequest) {
  return ask(createClientHandler(parts()), target, request);
}

const plain = { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" };

describe("health", () => {
  test("good", async () => {
    expect(await get("/health")).toMatchObject({
      status: 200,
      answerHeaders: { "content-type": "text/plain; charset=utf-8" },
      body: '{"health":"true","reason":""}',
    });
    expect(counts.healthSuccesses).toBe(1);
  });

  test.each([
    ["/health", { alarms: ["NOSPACE", "CORRUPT"] }, "ALARM NOSPACE"],
    ["/health?exclude=NOSPACE", { alarms: ["NOSPACE", "CORRUPT"] }, "ALARM CORRUPT"],
    ["/health?exclude=CORRUPT", { alarms: ["NOSPACE"] }, "ALARM NOSPACE"],
    ["/health", { alarms: ["FIRE"] }, "ALARM UNKNOWN"],
    ["/health", { hasLeader: false }, "RAFT NO LEADER"],
    ["/health", { linearizableError: "etcdserver: request timed out" }, "RANGE ERROR:etcdserver: request timed out"],
    ["/health?serializable=true", { serializableError: "gone" }, "RANGE ERROR:gone"],
  ])("%s with %j: %s", async (target, change: Partial<State>, reason) => {
    Object.assign(state, change);
    const answer = await get(target);
    expect(answer).toMatchObject({ status: 503, body: `{"health":"false","reason":"${reason}"}\n` });
    expect(answer.answerHeaders).toMatchObject(plain);
    expect(counts.healthFailures).toBe(1);
  });

  test.each([
    ["/health?exclude=NOSPACE&exclude=CORRUPT", { alarms: ["NOSPACE", "CORRUPT"] }],
    ["/health?serializable=true", { hasLeader: false, linearizableError: "x" }],
    ["/health?serializable=yes", { serializableError: "x" }],
  ])("%s with %j is good", async (target, change: Partial<State>) => {
    Object.assign(state, change);
    expect((await get(target)).status).toBe(200);
  });
});

describe("livez and readyz", () => {
  test.each([
    ["/livez", "ok\n"],
    ["/livez?verbose", "[+]serializable_read ok\nok\n"],
    ["/livez/serializable_read", "ok\n"],
    ["/livez/serializable_read?verbose", "[+]serializable_read ok\nok\n"],
    ["/readyz", "ok\n"],
    [
      "/readyz?verbose=false",
      "[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\n[+]non_learner ok\nok\n",
    ],
    [
      "/readyz?exclude=serializable_read&exclude=foo&verbose",
      "[+]data_corruption ok\n[+]linearizable_read ok\n[+]non_learner ok\nok\n",
    ],
  ])("%s", async (target, body) => {
    expect(await get(target)).toMatchObject({ status: 200, body, answerHeaders: plain });
  });

  test("failures list every check that ran", async () => {
    Object.assign(state, { alarms: ["CORRUPT"], isLearner: true, linearizableError: "etcdserver: no leader" });
    expect(await get("/readyz")).toMatchObject({
      status: 503,
      answerHeaders: plain,
      body: `[-]data_corruption failed: alarm activated: CORRUPT
[+]serializable_read ok
[-]linearizable_read failed: etcdserver: no leader
[-]non_learner failed: not supported for learner

`,
    });
    expect((await get("/readyz/data_corruption")).body).toBe("[-]data_corruption failed: alarm activated: CORRUPT\n\n");
    expect((await get("/livez")).status).toBe(200);
    expect(counts.healthCheck.with("data_corruption", "readyz").value).toBe(0);
    expect(counts.healthChecks.with("data_corruption", "error", "readyz").value).toBe(2);
    expect(counts.healthChecks.with("serializable_read", "success", "livez").value).toBe(1);
  });

  test.each(["/livez/foo", "/livez/", "/readyz/", "/health/", "/foo", "/", "/version/"])(
    "%s is not there",
    async (path) => {
      expect(await get(path)).toMatchObject({ status: 404, body: "404 page not found\n", answerHeaders: plain });
    },
  );
});

describe("other paths", () => {
  test("version", async () => {
    expect(await get("/version")).toMatchObject({
      status: 200,
      answerHeaders: { "content-type": "application/json" },
      body: '{"etcdserver":"3.7.3","etcdcluster":"3.7.0","storage":"3.7.0"}',
    });
    state.clusterVersion = undefined;
    expect((await get("/version")).body).toBe('{"etcdserver":"3.7.3","etcdcluster":"not_decided","storage":"unknown"}');
  });

  test.each(["/version", "/health", "/livez", "/readyz?verbose"])("POST %s is not allowed", async (target) => {
    for (const method of ["POST", "HEAD"]) {
      const answer = await get(target, { method });
      expect(answer).toMatchObject({ status: 405, body: "Method Not Allowed\n" });
      expect(answer.answerHeaders).toMatchObject({ ...plain, allow: "GET" });
    }
  });

  test("metrics, whatever the method", async () => {
    expect(await get("/metrics", { method: "POST" })).toMatchObject({ status: 200, body: "up 1\n" });
  });

  test("debug variables", async () => {
    const answer = await get("/debug/vars");
    expect(answer.answerHeaders["content-type"]).toBe("application/json; charset=utf-8");
    expect(answer.body.split("\n")[1]).toBe('"cmdline": ["etcd","--name=a"],');
    expect(JSON.parse(answer.body)["raft.status"]).toEqual({
      id: "2e1259d415f2a040",
      term: 2,
      vote: "2e1259d415f2a040",
      commit: 8,
      lead: "2e1259d415f2a040",
      raftState: "StateLeader",
      applied: 8,
      progress: { "2e1259d415f2a040": { match: 8, next: 9, state: "StateReplicate" } },
      leadtransferee: "0",
    });
  });

  test("unclean paths and /v3 are redirected", async () => {
    expect(await get("//version")).toMatchObject({
      status: 307,
      answerHeaders: { location: "/version", "content-type": "text/html; charset=utf-8" },
      body: '<a href="/version">Temporary Redirect</a>.\n\n',
    });
    expect((await get("/a/../health?x=1")).answerHeaders).toMatchObject({ location: "/health?x=1" });
    expect((await get("/v3")).answerHeaders).toMatchObject({ location: "/v3/" });
    expect(await get("/v3", { method: "POST" })).toMatchObject({ status: 307, body: "" });
  });

  test("the gateway, also by its old name", async () => {
    expect((await get("/v3/kv/range")).body).toBe("gateway /v3/kv/range");
    expect((await get("/v3beta/kv/range?a=1")).body).toBe("gateway /v3/kv/range?a=1");
    const { gateway: _, ...rest } = parts();
    const without = createClientHandler({ ...rest, gateway: undefined });
    expect((await ask(without, "/v3/kv/range")).status).toBe(404);
  });

  test("a metrics listener serves metrics and health only", async () => {
    const handler = createMetricsHandler(parts());
    const health = await ask(handler, "/health");
    expect(health.status).toBe(200);
    expect(health.answerHeaders).not.toHaveProperty("access-control-allow-origin");
    expect((await ask(handler, "/metrics")).body).toBe("up 1\n");
    expect((await ask(handler, "/version")).status).toBe(404);
    expect((await ask(handler, "/debug/vars")).status).toBe(404);
  });

  test("a handler that fails is answered 500", async () => {
    const failing = { ...parts(), probe: { ...probe, linearizableRead: () => Promise.reject(new Error("boom")) } };
    expect(await ask(createClientHandler(failing), "/health")).toMatchObject({ status: 500, body: "Error: boom\n" });
  });
});

describe("access", () => {
  const cors = {
    "access-control-allow-headers": "accept, content-type, authorization",
    "access-control-allow-methods": "POST, GET, OPTIONS, PUT, DELETE",
  };

  test("every answer carries the CORS headers when all origins are allowed", async () => {
    expect((await get("/version")).answerHeaders).toMatchObject({ ...cors, "access-control-allow-origin": "*" });
    expect((await get("/foo")).answerHeaders).toMatchObject({ ...cors, "access-control-allow-origin": "*" });
    expect(await get("/foo", { method: "OPTIONS" })).toMatchObject({ status: 200, body: "" });
  });

  test("only listed origins get them", async () => {
    const handler = createClientHandler(parts({ cors: ["http://a:1", "https://b:2"] }));
    const from = (origin: string) => ask(handler, "/health", { headers: { origin } });
    expect((await from("http://a:1")).answerHeaders).toMatchObject({ "access-control-allow-origin": "http://a:1" });
    const other = await from("http://x:1");
    expect(other.status).toBe(200);
    expect(other.answerHeaders).not.toHaveProperty("access-control-allow-origin");
  });

  test("hosts", async () => {
    const handler = createClientHandler(parts({ hostWhitelist: ["foo", "::1"] }));
    const to = (host: string, tls = false) => ask(handler, "/health", { headers: { host }, peer: { tls } });
    for (const host of ["foo", "foo:123", "[::1]:2"]) expect((await to(host)).status).toBe(200);
    for (const host of ["127.0.0.1:2379", "FOO:1", "[::2]:2", ""]) expect((await to(host)).status).toBe(421);
    expect((await to("other", true)).status).toBe(200);
    const refused = await to("127.0.0.1:1");
    expect(refused.answerHeaders).toEqual(plain);
    expect(refused.body).toHaveLength(371);
    expect(refused.body).toContain('- e.g. etcd --host-whitelist "127.0.0.1"\n');
  });

  test("certificates with a name are kept from the gateway while auth needs them", async () => {
    const handler = createClientHandler(parts({ refusesCommonName: () => true }));
    const peer = { tls: true, commonName: "root" };
    expect((await ask(handler, "/v3beta/kv/range", { peer })).status).toBe(400);
    expect((await ask(handler, "/health", { peer })).status).toBe(200);
  });
});
