import { type MethodHandler, type ServerCall, type ServiceTable, type Status, StatusCode } from "@etcd-ts/grpc";
import { beforeEach, expect, test } from "vitest";
import { countCalls } from "./counted-services.js";
import { MemberMetrics } from "./member-metrics.js";

const put = "/etcdserverpb.KV/Put";
const watch = "/etcdserverpb.Watch/Watch";

let metrics: MemberMetrics;
let now: number;
let handle: (call: ServerCall) => void;
let cancelled: Status[];

/** A call that does nothing but remember its end, and what to tell when it is cancelled. */
function fakeCall(path: string, version?: string): ServerCall & { cancel(status: Status): void } {
  let onCancel: (status: Status) => void = () => undefined;
  const call = {
    path,
    metadata: [],
    peer: { address: "", tls: false, commonName: undefined },
    timeoutMs: undefined,
    ended: false,
    unsentBytes: 0,
    header: (name: string) => (name === "client-api-version" ? version : undefined),
    send: () => true,
    respond: () => {
      call.ended = true;
    },
    end: () => {
      call.ended = true;
    },
    pauseReceiving: () => undefined,
    resumeReceiving: () => undefined,
    onCancel: (callback: (status: Status) => void) => {
      onCancel = callback;
    },
    onDrain: () => undefined,
    cancel: (status: Status) => {
      call.ended = true;
      onCancel(status);
    },
  };
  return call;
}

beforeEach(() => {
  metrics = new MemberMetrics({ extensive: true });
  now = 1000;
  cancelled = [];
});

function counted(): ServiceTable {
  const services = new Map<string, MethodHandler>([
    [put, { kind: "request", handle: (call) => handle(call) }],
    ["/other.Service/Method", { kind: "request", handle: (call) => handle(call) }],
    [
      watch,
      {
        kind: "stream",
        open: (call) => {
          call.onCancel((status) => cancelled.push(status));
          return { onMessage: () => handle(call), onHalfClose: () => call.end({ code: StatusCode.ok, message: "" }) };
        },
      },
    ],
  ]);
  return countCalls(services, metrics, () => now);
}

function callPut(version?: string): void {
  const handler = counted().get(put);
  if (handler?.kind === "request") handler.handle(fakeCall(put, version), new Uint8Array(10));
}

test("an answer", () => {
  handle = (call) => {
    now += 20;
    call.respond(7, () => undefined);
    call.end({ code: StatusCode.internal, message: "late" });
    call.respond(7, () => undefined);
  };
  callPut("3.7");
  const method = metrics.grpcMethods.get(put)!;
  expect(method).toMatchObject({ started: 1, messagesReceived: 1, messagesSent: 1 });
  expect([...method.handled]).toEqual([1, ...Array(16).fill(0)]);
  expect(method.handlingSeconds?.sum).toBeCloseTo(0.02, 9);
  expect([metrics.clientReceivedBytes, metrics.clientSentBytes]).toEqual([10, 7]);
  expect(metrics.clientRequests.with("3.7", "unary").value).toBe(1);
});

test("a refusal", () => {
  handle = (call) => call.end({ code: StatusCode.notFound, message: "no" });
  callPut();
  const method = metrics.grpcMethods.get(put)!;
  expect(method.handled[StatusCode.notFound]).toBe(1);
  expect(method.messagesSent).toBe(0);
  expect(metrics.clientRequests.with("unknown", "unary").value).toBe(1);
});

test("a client's fancy version makes no series of its own", () => {
  handle = (call) => call.respond(0, () => undefined);
  for (const version of ["x", "37", "3.7.0-beta", "1.2.3.4"]) callPut(version);
  expect([...metrics.clientRequests.cells()].map(({ labels, value }) => [labels, value])).toEqual([
    [["unknown", "unary"], 4],
  ]);
  for (let minor = 0; minor < 200; minor++) callPut(`3.${minor}`);
  expect(metrics.clientRequests.size).toBe(64);
});

test("a stream: messages both ways, and one end however it comes", () => {
  const handler = counted().get(watch);
  if (handler?.kind !== "stream") throw new Error("not a stream");
  handle = (call) => void call.send(5, () => undefined);
  const call = fakeCall(watch);
  const receiver = handler.open(call);
  receiver.onMessage(new Uint8Array(3));
  receiver.onMessage(new Uint8Array(3));
  call.cancel({ code: StatusCode.cancelled, message: "gone" });
  receiver.onMessage(new Uint8Array(3));
  receiver.onHalfClose();
  const method = metrics.grpcMethods.get(watch)!;
  expect(method).toMatchObject({ started: 1, messagesReceived: 3, messagesSent: 2 });
  expect(method.handled[StatusCode.cancelled]).toBe(1);
  expect(method.handled[StatusCode.ok]).toBe(0);
  expect(cancelled).toEqual([{ code: StatusCode.cancelled, message: "gone" }]);
  expect(metrics.clientRequests.with("unknown", "stream").value).toBe(1);
});

test("methods that are not etcd's pass", () => {
  let ran = false;
  handle = () => {
    ran = true;
  };
  const handler = counted().get("/other.Service/Method");
  if (handler?.kind === "request") handler.handle(fakeCall("/other.Service/Method"), new Uint8Array());
  expect(ran).toBe(true);
});
