import type { CallObserver, MethodHandler, ServerCall } from "@etcd-ts/grpc";
import { StatusCode } from "@etcd-ts/grpc";
import { beforeEach, expect, test } from "vitest";
import { countCalls } from "./counted-services.js";
import { MemberMetrics } from "./member-metrics.js";

const put = "/etcdserverpb.KV/Put";
const watch = "/etcdserverpb.Watch/Watch";
const other = "/other.Service/Method";

let metrics: MemberMetrics;
let now: number;

beforeEach(() => {
  metrics = new MemberMetrics({ extensive: true });
  now = 1000;
});

/** What the transport tells of the calls of a method; when is for the tests of the transports. */
function observerOf(path: string): CallObserver | undefined {
  const handler: MethodHandler = { kind: "request", handle: () => undefined };
  const counted = countCalls(new Map([put, watch, other].map((name) => [name, handler])), metrics, () => now);
  expect(counted.get(path)).toMatchObject(handler);
  return counted.get(path)?.observer;
}

function callWith(version: string | undefined): ServerCall {
  return { header: (name: string) => (name === "client-api-version" ? version : undefined) } as ServerCall;
}

test("an answer", () => {
  const observer = observerOf(put)!;
  const startedAt = observer.started(callWith("3.7"));
  observer.received(10);
  now += 20;
  observer.sent(7);
  observer.ended(StatusCode.ok, startedAt);
  const method = metrics.grpcMethods.get(put)!;
  expect(method).toMatchObject({ started: 1, messagesReceived: 1, messagesSent: 1 });
  expect([...method.handled]).toEqual([1, ...Array(16).fill(0)]);
  expect(method.handlingSeconds?.sum).toBeCloseTo(0.02, 9);
  expect([metrics.clientReceivedBytes, metrics.clientSentBytes]).toEqual([10, 7]);
  expect(metrics.clientRequests.with("3.7", "unary").value).toBe(1);
});

test("a refusal, and calls of a method that are open at the same time", () => {
  const observer = observerOf(watch)!;
  const first = observer.started(callWith(undefined));
  now += 30;
  const second = observer.started(callWith(undefined));
  observer.ended(StatusCode.notFound, second);
  observer.ended(StatusCode.cancelled, first);
  const method = metrics.grpcMethods.get(watch)!;
  expect([method.handled[StatusCode.notFound], method.handled[StatusCode.cancelled]]).toEqual([1, 1]);
  expect(method.handlingSeconds?.sum).toBeCloseTo(0.03, 9);
  expect(metrics.clientRequests.with("unknown", "stream").value).toBe(2);
});

test("a client's fancy version makes no series of its own", () => {
  const observer = observerOf(put)!;
  for (const version of ["x", "37", "3.7.0-beta", "1.2.3.4"]) observer.started(callWith(version));
  expect([...metrics.clientRequests.cells()].map(({ labels, value }) => [labels, value])).toEqual([
    [["unknown", "unary"], 4],
  ]);
  for (let minor = 0; minor < 200; minor++) observer.started(callWith(`3.${minor}`));
  expect(metrics.clientRequests.size).toBe(64);
});

test("methods that are not etcd's pass", () => {
  expect(observerOf(other)).toBeUndefined();
});
