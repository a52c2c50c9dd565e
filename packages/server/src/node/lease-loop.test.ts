import { Lessor, MemoryBackend } from "@etcd-ts/store";
import { expect, test } from "vitest";
import type { Clock } from "../env.js";
import { LeaseLoop } from "./lease-loop.js";

const ttlSeconds = 2;

function start() {
  let now = 0;
  let wake: () => void = () => undefined;
  const clock = {
    now: () => now,
    setTimer: (_ms: number, then: () => void) => {
      wake = then;
      return { cancel: () => undefined };
    },
  } as unknown as Clock;
  const lessor = new Lessor(new MemoryBackend(), { ttlSecondsMin: 1 });
  lessor.promote(0, 0);
  lessor.grant(1n, ttlSeconds, 0);
  const confirmations: ((leads: boolean) => void)[] = [];
  const revoked: bigint[] = [];
  const loop = new LeaseLoop({
    clock,
    lessor,
    confirmLeadership: (done) => confirmations.push(done),
    revoke: (id) => revoked.push(id),
    checkpoint: () => undefined,
  });
  loop.start();
  const tickAt = (ms: number): void => {
    now = ms;
    wake();
  };
  return { lessor, confirmations, revoked, tickAt };
}

test("what has expired is revoked once leadership is confirmed", () => {
  const { confirmations, revoked, tickAt } = start();
  tickAt(1900);
  expect(confirmations.length).toBe(0);
  tickAt(2000);
  expect(revoked).toEqual([]);
  confirmations[0]?.(true);
  expect(revoked).toEqual([1n]);
});

test("a member that does not lead any more revokes nothing", () => {
  const { confirmations, revoked, tickAt } = start();
  tickAt(2000);
  confirmations[0]?.(false);
  expect(revoked).toEqual([]);
});

test("nor does one that lost and regained leadership meanwhile, which extended its leases", () => {
  const { lessor, confirmations, revoked, tickAt } = start();
  tickAt(2000);
  lessor.demote();
  lessor.promote(2000, 1000);
  confirmations[0]?.(true);
  expect(revoked).toEqual([]);
});
