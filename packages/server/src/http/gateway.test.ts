import { methodsByPath } from "@etcd-ts/api";
import {
  type MethodHandler,
  type ServerCall,
  type ServiceTable,
  type Status,
  StatusCode,
  type StreamReceiver,
} from "@etcd-ts/grpc";
import { beforeEach, describe, expect, test } from "vitest";
import { createGateway } from "./gateway.js";
import { ask, FakeExchange, type FakeRequest } from "./testing/fake-exchange.js";

// Statuses, headers and bodies are those of etcd 3.7.3, asked with curl, unless a test says otherwise.

const json = { "content-type": "application/json" };
const answered = { ...json, "grpc-metadata-content-type": "application/grpc" };

let calls: ServerCall[];
let requests: object[];
let timers: { delayMs: number; fire: () => void; cancelled: boolean }[];
/** What the next call does; the default answers an empty message. */
let respond: (call: ServerCall) => void;
let halfClosed: number;

beforeEach(() => {
  calls = [];
  requests = [];
  timers = [];
  respond = (call) => call.respond(0, () => undefined);
  halfClosed = 0;
});

const range = "/etcdserverpb.KV/Range";
const watch = "/etcdserverpb.Watch/Watch";
const snapshot = "/etcdserverpb.Maintenance/Snapshot";

function received(call: ServerCall, bytes: Uint8Array): void {
  requests.push(methodsByPath.get(call.path)!.request.decode(bytes.slice()));
}

const request = (call: ServerCall, bytes: Uint8Array) => {
  calls.push(call);
  received(call, bytes);
  respond(call);
};

const services: ServiceTable = new Map<string, MethodHandler>([
  [range, { kind: "request", handle: request }],
  [snapshot, { kind: "request", handle: request }],
  [
    watch,
    {
      kind: "stream",
      open: (call): StreamReceiver => {
        calls.push(call);
        return {
          onMessage: (message) => {
            received(call, message);
            respond(call);
          },
          onHalfClose: () => {
            halfClosed++;
          },
        };
      },
    },
  ],
]);

const gateway = createGateway({
  services,
  requestBytesMax: 1000,
  setTimer: (delayMs, fire) => {
    const timer = { delayMs, fire, cancelled: false };
    timers.push(timer);
    return {
      cancel: () => {
        timer.cancelled = true;
      },
    };
  },
});

function post(path: string, body: string, more: FakeRequest = {}) {
  return ask(gateway, path, { method: "POST", body, ...more });
}

/** Sends a message of a method's response type. */
function send(call: ServerCall, message: object): boolean {
  const codec = methodsByPath.get(call.path)!.response;
  const size = codec.size(message);
  return call.send(size, (target, offset) => codec.encode(message, target, offset));
}

function fail(code: StatusCode, message: string): Status {
  return { code, message };
}

describe("routing", () => {
  test.each(["/v3/foo", "/v3/", "/v3/kv/range/", "/v3/kv"])("%s is not there", async (path) => {
    expect(await post(path, "{}")).toMatchObject({
      status: 404,
      answerHeaders: json,
      body: '{"code":5,"message":"Not Found"}',
    });
  });

  test.each(["GET", "PUT", "HEAD"])("%s is not allowed", async (method) => {
    expect(await post("/v3/kv/range", "{}", { method })).toMatchObject({
      status: 501,
      answerHeaders: json,
      body: '{"code":12,"message":"Method Not Allowed"}',
    });
  });

  test("a method without a handler is not implemented", async () => {
    expect(await post("/v3/kv/put", "{}")).toMatchObject({
      status: 501,
      body: '{"code":12,"message":"unknown method Put for service etcdserverpb.KV"}',
    });
  });
});

describe("unary methods", () => {
  test("answer one object", async () => {
    respond = (call) => {
      const codec = methodsByPath.get(range)!.response;
      const kvs = [
        {
          key: new Uint8Array([102]),
          value: new Uint8Array(),
          createRevision: 2,
          modRevision: 2,
          version: 1,
          lease: 0n,
        },
      ];
      const message = { header: { clusterId: 1n, memberId: 2n, revision: 3, raftTerm: 4 }, kvs, more: false, count: 1 };
      call.respond(codec.size(message), (target, offset) => codec.encode(message, target, offset));
    };
    expect(await post("/v3/kv/range?x=1", '{"key":"Zm9v","range_end":"AA==","limit":5}')).toMatchObject({
      status: 200,
      answerHeaders: answered,
      body: '{"header":{"cluster_id":"1","member_id":"2","revision":"3","raft_term":"4"},"kvs":[{"key":"Zg==","create_revision":"2","mod_revision":"2","version":"1"}],"count":"1"}',
    });
    expect(requests).toMatchObject([{ key: new Uint8Array([102, 111, 111]), rangeEnd: new Uint8Array([0]), limit: 5 }]);
  });

  test.each(["", "  ", "{}", '{"unknown":1}', "{} garbage", "{}{}"])("%j is an empty request", async (body) => {
    expect((await post("/v3/kv/range", body)).status).toBe(200);
    expect(requests).toHaveLength(1);
  });

  test.each([
    ["{", "unexpected EOF"],
    ['{"key":"Zm9v",}', "invalid character '}' looking for beginning of object key string"],
    ["x", "invalid character 'x' looking for beginning of value"],
    ["[]", "proto: syntax error (line 1:1): unexpected token ["],
    ['{"key":5}', "proto: (line 1:8): invalid value for bytes field key: 5"],
    ['{"key":"Zm9v","limit":5.5}', "proto: (line 1:23): invalid value for int64 field limit: 5.5"],
    ['{"key":"Zm9v","key":"Zm9v"}', 'proto: (line 1:15): duplicate field "key"'],
    // etcd has no such limit of its own.
    [`{"a":${"[".repeat(40)}`, "exceeded max depth"],
  ])("%s is refused", async (body, message) => {
    expect(await post("/v3/kv/range", body)).toMatchObject({
      status: 400,
      answerHeaders: json,
      body: JSON.stringify({ code: 3, message }),
    });
    expect(calls).toEqual([]);
  });

  test("text that is not UTF-8 is refused", () => {
    const exchange = new FakeExchange("/v3/kv/range", { method: "POST" });
    gateway(exchange);
    exchange.receiver?.onData(new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]));
    exchange.receiver?.onEnd();
    expect(exchange.status).toBe(400);
    expect(exchange.body).toContain("invalid UTF-8 in string");
  });

  test("bytes are what is limited, not their base64", async () => {
    const key = (size: number) => JSON.stringify({ key: btoa("x".repeat(size)) });
    expect((await post("/v3/kv/range", key(997))).status).toBe(200);
    expect(await post("/v3/kv/range", key(998))).toMatchObject({
      status: 429,
      body: '{"code":8,"message":"grpc: received message larger than max (1001 vs. 1000)"}',
    });
    expect(await post("/v3/kv/range", " ".repeat(2001))).toMatchObject({
      status: 400,
      body: '{"code":3,"message":"http: request body too large"}',
    });
  });

  test.each([
    [StatusCode.cancelled, 499],
    [StatusCode.unknown, 500],
    [StatusCode.invalidArgument, 400],
    [StatusCode.deadlineExceeded, 504],
    [StatusCode.notFound, 404],
    [StatusCode.alreadyExists, 409],
    [StatusCode.permissionDenied, 403],
    [StatusCode.resourceExhausted, 429],
    [StatusCode.failedPrecondition, 400],
    [StatusCode.aborted, 409],
    [StatusCode.outOfRange, 400],
    [StatusCode.unimplemented, 501],
    [StatusCode.internal, 500],
    [StatusCode.unavailable, 503],
    [StatusCode.dataLoss, 500],
  ])("code %d is status %d", async (code, status) => {
    respond = (call) => call.end(fail(code, "etcdserver: why"));
    expect(await post("/v3/kv/range", "{}")).toMatchObject({
      status,
      answerHeaders: json,
      body: `{"code":${code},"message":"etcdserver: why"}`,
    });
  });

  test("401 says how to authenticate", async () => {
    respond = (call) => call.end(fail(StatusCode.unauthenticated, "etcdserver: invalid auth token"));
    const answer = await post("/v3/kv/range", "{}");
    expect(answer.status).toBe(401);
    expect(answer.answerHeaders).toEqual({ ...json, "www-authenticate": "etcdserver: invalid auth token" });
  });
});

describe("headers", () => {
  test("become metadata", async () => {
    await post("/v3/kv/range", "{}", {
      headers: {
        authorization: "Bearer abc.1",
        "grpc-metadata-hasleader": "true",
        "grpc-metadata-x-bin": "AQI=",
        accept: "*/*",
      },
      peer: { commonName: "root", tls: true },
    });
    expect(calls[0]).toMatchObject({
      path: range,
      metadata: [
        ["authorization", "abc.1"],
        ["hasleader", "true"],
        ["x-bin", new Uint8Array([1, 2])],
      ],
      peer: { commonName: undefined, tls: true },
    });
    expect(calls[0]?.header("hasleader")).toBe("true");
    expect(calls[0]?.header("x-bin")).toBeUndefined();
  });

  test("binary metadata that is not base64 is refused", async () => {
    const headers = { "grpc-metadata-foo-bin": "!!" };
    expect(await post("/v3/kv/range", "{}", { headers })).toMatchObject({
      status: 400,
      body: '{"code":3,"message":"invalid binary header Grpc-Metadata-Foo-Bin: illegal base64 data at input byte 0"}',
    });
  });

  test.each(["1", "S", "5s", "1.5S", "1 S", "x"])("timeout %j is refused", async (timeout) => {
    expect(await post("/v3/kv/range", "{}", { headers: { "grpc-timeout": timeout } })).toMatchObject({
      status: 400,
      body: JSON.stringify({ code: 3, message: `invalid grpc-timeout: ${timeout}` }),
    });
  });

  test.each(["1n", "-1S", "0S"])("timeout %s has passed", async (timeout) => {
    for (const path of ["/v3/kv/range", "/v3/watch"]) {
      expect(await post(path, "{}", { headers: { "grpc-timeout": timeout } })).toMatchObject({
        status: 504,
        answerHeaders: json,
        body: '{"code":4,"message":"context deadline exceeded"}',
      });
    }
  });

  test("the deadline ends the call and tells the handler", async () => {
    const told: Status[] = [];
    respond = (call) => {
      call.onCancel((status) => told.push(status));
      timers[0]?.fire();
    };
    expect(await post("/v3/kv/range", "{}", { headers: { "grpc-timeout": "5S" } })).toMatchObject({ status: 504 });
    expect(timers).toMatchObject([{ delayMs: 5000 }]);
    expect(told).toEqual([fail(StatusCode.deadlineExceeded, "context deadline exceeded")]);
  });

  test("an answer cancels the deadline; a far one does not overflow", async () => {
    await post("/v3/kv/range", "{}", { headers: { "grpc-timeout": "99999999H" } });
    expect(timers).toMatchObject([{ delayMs: 2 ** 31 - 1, cancelled: true }]);
  });
});

describe("server streams", () => {
  test("lines of results", async () => {
    respond = (call) => {
      send(call, { header: undefined, remainingBytes: 5, blob: new Uint8Array([1]), version: "" });
      send(call, { header: undefined, remainingBytes: 0, blob: new Uint8Array(), version: "3.7.0" });
      call.end(fail(StatusCode.ok, ""));
    };
    expect(await post("/v3/maintenance/snapshot", "{}")).toMatchObject({
      status: 200,
      answerHeaders: answered,
      body: '{"result":{"remaining_bytes":"5","blob":"AQ=="}}\n{"result":{"version":"3.7.0"}}\n',
    });
  });

  test("an error before the first message sets the status", async () => {
    respond = (call) => call.end(fail(StatusCode.unauthenticated, "etcdserver: invalid auth token"));
    const answer = await post("/v3/maintenance/snapshot", "{}");
    expect(answer).toMatchObject({
      status: 401,
      body: '{"error":{"code":16,"message":"etcdserver: invalid auth token"}}\n',
    });
    expect(answer.answerHeaders).toEqual(json);
  });

  test("a request that cannot be read is answered as for a unary method", async () => {
    expect(await post("/v3/maintenance/snapshot", "x")).toMatchObject({
      status: 400,
      body: `{"code":3,"message":"invalid character 'x' looking for beginning of value"}`,
    });
  });
});

describe("bidirectional streams", () => {
  function open(headers: Record<string, string> = {}): FakeExchange {
    const exchange = new FakeExchange("/v3/watch", { method: "POST", headers });
    gateway(exchange);
    return exchange;
  }

  function push(exchange: FakeExchange, text: string): void {
    exchange.receiver?.onData(new TextEncoder().encode(text));
  }

  beforeEach(() => {
    respond = () => undefined;
  });

  test("requests are handed on as they come", () => {
    const exchange = open();
    push(exchange, '{"create_request":{"key":"Zm9v"}}{"progress_');
    expect(requests).toHaveLength(1);
    push(exchange, 'request":{}}\n');
    expect(requests).toHaveLength(2);
    exchange.receiver?.onEnd();
    expect(halfClosed).toBe(1);
    expect(exchange.ended).toBe(false);
  });

  test("answers are lines, an error is the last one", () => {
    const exchange = open({ "grpc-timeout": "1S" });
    const [call] = calls;
    const message = methodsByPath.get(watch)!.response.decode(new Uint8Array());
    send(call!, { ...message, created: true });
    expect(exchange).toMatchObject({ status: 200, answerHeaders: answered, body: '{"result":{"created":true}}\n' });
    timers[0]?.fire();
    expect(exchange.ended).toBe(true);
    expect(exchange.body).toBe(
      '{"result":{"created":true}}\n{"error":{"code":4,"message":"context deadline exceeded"}}\n',
    );
    expect(send(call!, message)).toBe(false);
  });

  test("input that is not JSON ends the stream; etcd leaves it open", () => {
    const exchange = open();
    const told: Status[] = [];
    calls[0]?.onCancel((status) => told.push(status));
    push(exchange, '{"create_request":{"key":"Zm9v"}} x ');
    const message = "invalid character 'x' looking for beginning of value";
    expect(exchange).toMatchObject({ ended: true, status: 400, body: JSON.stringify({ code: 3, message }) });
    expect(told).toEqual([fail(StatusCode.invalidArgument, message)]);
    push(exchange, "{}");
    expect(requests).toHaveLength(1);
  });

  test("so does input that is cut off", () => {
    const exchange = open();
    push(exchange, '{"create');
    exchange.receiver?.onEnd();
    expect(exchange).toMatchObject({ status: 400, body: '{"code":3,"message":"unexpected EOF"}' });
    expect(halfClosed).toBe(0);
  });

  test("a handler that pauses gets no more until it resumes", () => {
    respond = (call) => call.pauseReceiving();
    const exchange = open();
    push(exchange, "{}{}");
    exchange.receiver?.onEnd();
    expect([requests.length, exchange.paused, halfClosed]).toEqual([1, true, 0]);
    respond = () => undefined;
    calls[0]?.resumeReceiving();
    expect([requests.length, exchange.paused, halfClosed]).toEqual([2, false, 1]);
    calls[0]?.pauseReceiving();
    calls[0]?.resumeReceiving();
    expect(halfClosed).toBe(1);
  });

  test("a handler that resumes from within a message gets the next one after it", () => {
    let depth = 0;
    respond = (call) => {
      depth++;
      expect(depth).toBe(1);
      call.pauseReceiving();
      call.resumeReceiving();
      depth--;
    };
    push(open(), "{}{}{}");
    expect(requests).toHaveLength(3);
  });

  test("a client that leaves cancels the call", () => {
    const exchange = open();
    const told: Status[] = [];
    calls[0]?.onCancel((status) => told.push(status));
    exchange.cancel();
    expect(told).toEqual([fail(StatusCode.cancelled, "context canceled")]);
    expect(calls[0]?.ended).toBe(true);
  });

  test("a client that does not read is told to wait, then given up", () => {
    const exchange = open();
    const [call] = calls;
    let drained = 0;
    call?.onDrain(() => {
      drained++;
    });
    exchange.writable = false;
    const message = {
      ...methodsByPath.get(watch)!.response.decode(new Uint8Array()),
      cancelReason: "x".repeat(1 << 20),
    };
    expect(send(call!, message)).toBe(false);
    expect(call?.unsentBytes).toBeGreaterThan(1 << 20);
    exchange.drain();
    expect([drained, call?.unsentBytes]).toEqual([1, 0]);
    exchange.writable = false;
    const told: Status[] = [];
    call?.onCancel((status) => told.push(status));
    for (let sent = 0; sent < 8; sent++) send(call!, message);
    expect(exchange.ended).toBe(true);
    expect(told).toMatchObject([{ code: StatusCode.resourceExhausted }]);
  });
});
