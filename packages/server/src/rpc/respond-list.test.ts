import { concatBytes, lease, messageBytes } from "@etcd-ts/api";
import type { ServerCall } from "@etcd-ts/grpc";
import { expect, test } from "vitest";
import type { Clock } from "../env.js";
import { respondList } from "./respond-list.js";

const codec = lease.leaseTimeToLive.response;
const head = { header: { revision: 7 }, id: 5n, ttl: 9, grantedTtl: 10 };

/** A call that keeps its answer, and a clock whose deferred work the test does. */
function answer(count: number) {
  const keys = Array.from({ length: count }, (_, i) => new Uint8Array([107, i & 0xff, i >> 8]));
  const deferred: (() => void)[] = [];
  const answers: Uint8Array[] = [];
  let cancel = (): void => {};
  const clock = { defer: (callback: () => void) => void deferred.push(callback) } as Clock;
  const call = {
    respondPieces: (pieces: readonly Uint8Array[]) => void answers.push(concatBytes(pieces)),
    onCancel: (callback: () => void) => {
      cancel = callback;
    },
  } as unknown as ServerCall;
  respondList(clock, call, codec, { head, items: keys, partOf: (part) => ({ keys: part }) });
  const finish = (): number => {
    let turns = 0;
    for (; deferred.length > 0; turns++) for (const callback of deferred.splice(0)) callback();
    return turns;
  };
  return { answers, finish, cancel: () => cancel(), whole: messageBytes(codec, { ...head, keys }) };
}

test.each([
  [0, false],
  [3, false],
  [20_000, true],
])("a list of %d is encoded as in one, in slices if it is long", (count, isLong) => {
  const { answers, finish, whole } = answer(count);
  expect(finish() > 0).toBe(isLong);
  expect(answers.map((bytes) => Buffer.compare(bytes, whole))).toEqual([0]);
});

test("nothing is answered once the call is cancelled", () => {
  const { answers, finish, cancel } = answer(20_000);
  cancel();
  finish();
  expect(answers).toEqual([]);
});
