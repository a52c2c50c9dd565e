import { describe, expect, it } from "vitest";
import { MemoryBackend } from "../memory-backend.js";
import { Budget, runToEnd } from "../mvcc/budget.js";
import { Lessor, type LessorOptions, minLeaseTtlSeconds } from "./lessor.js";

function listOf(lessor: Lessor): bigint[] {
  return runToEnd(lessor.listTask(new Budget(Number.POSITIVE_INFINITY)));
}

function newLessor(options?: Partial<LessorOptions>): { backend: MemoryBackend; lessor: Lessor } {
  const backend = new MemoryBackend();
  return { backend, lessor: new Lessor(backend, { ttlSecondsMin: 2, ...options }) };
}

/** When a lease expires, found by asking for what is left at ever later times. */
function expiresAt(lessor: Lessor, id: bigint): number {
  for (let nowMs = 0; nowMs < 1e6; nowMs++) {
    const result = lessor.timeToLive(id, nowMs);
    // The seconds left turn from 0 to −1 one second after the expiry.
    if (result.kind !== "found" || result.ttl < 0) return nowMs - 1000;
  }
  return Number.POSITIVE_INFINITY;
}

function leaseRows(backend: MemoryBackend): string[] {
  const rows: string[] = [];
  backend.scan("lease", new Uint8Array(0), undefined, (key, value) => {
    rows.push(`${Buffer.from(key).toString("hex")}=${Buffer.from(value).toString("hex")}`);
    return true;
  });
  return rows;
}

describe("minLeaseTtlSeconds", () => {
  it("is one and a half election timeouts in whole ticks, rounded up", () => {
    expect(minLeaseTtlSeconds({ electionTicks: 10, heartbeatMs: 100 })).toBe(2);
    expect(minLeaseTtlSeconds({ electionTicks: 5, heartbeatMs: 100 })).toBe(1);
    // (3 × 5) div 2 = 7 ticks, not 7.5.
    expect(minLeaseTtlSeconds({ electionTicks: 5, heartbeatMs: 1000 })).toBe(7);
  });
});

describe("grant", () => {
  it("refuses in etcd's order: id 0, TTL too large, id taken", () => {
    const { lessor } = newLessor();
    lessor.grant(1n, 10, 0);
    expect(lessor.grant(0n, 9_000_000_001, 0)).toEqual({ kind: "refused", reason: "leaseNotFound" });
    expect(lessor.grant(1n, 9_000_000_001, 0)).toEqual({ kind: "refused", reason: "leaseTTLTooLarge" });
    expect(lessor.grant(1n, 10, 0)).toEqual({ kind: "refused", reason: "leaseExist" });
    expect(lessor.grant(2n, 9_000_000_000, 0)).toMatchObject({ kind: "granted", ttl: 9_000_000_000 });
  });

  it("raises short, zero and negative TTLs to the minimum, and stores the raised one", () => {
    const { backend, lessor } = newLessor();
    for (const [id, ttl] of [
      [1n, 1],
      [2n, 0],
      [3n, -5],
    ] as const) {
      expect(lessor.grant(id, ttl, 0)).toEqual({ kind: "granted", id, ttl: 2 });
    }
    expect(leaseRows(backend)[0]).toBe("0000000000000001=08011002");
  });

  it("takes negative ids and stores them as unsigned keys", () => {
    const { backend, lessor } = newLessor();
    lessor.grant(-1n, 60, 0);
    expect(leaseRows(backend)).toEqual(["ffffffffffffffff=08ffffffffffffffffff01103c"]);
    const restored = new Lessor(backend, { ttlSecondsMin: 2 });
    runToEnd(restored.restoreTask(backend, new Budget(Number.POSITIVE_INFINITY)));
    expect(restored.exists(-1n)).toBe(true);
  });

  it("expires only on the primary", () => {
    const { lessor } = newLessor();
    lessor.grant(1n, 10, 0);
    expect(lessor.takeExpired(1e15)).toEqual([]);
    lessor.promote(0, 1000);
    lessor.grant(2n, 10, 500);
    expect(lessor.takeExpired(10_499)).toEqual([]);
    expect(lessor.takeExpired(11_000)).toEqual([2n, 1n]);
  });
});

describe("attachments", () => {
  it("keeps a key on one lease, and lists keys in byte order", () => {
    const { lessor } = newLessor();
    lessor.grant(1n, 10, 0);
    lessor.grant(2n, 10, 0);
    for (const key of ["b", "a", "\xff", "a\0", "b"]) expect(lessor.attach(1n, key)).toBe(true);
    expect(lessor.keysOf(1n).sort()).toEqual(["a", "a\0", "b", "\xff"]);
    lessor.attach(2n, "a");
    expect(lessor.keysOf(1n).sort()).toEqual(["a\0", "b", "\xff"]);
    expect(lessor.leaseOf("a")).toBe(2n);
    lessor.detach("a");
    lessor.detach("unknown");
    expect(lessor.leaseOf("a")).toBe(0n);
    expect(lessor.keysOf(2n)).toEqual([]);
    expect(lessor.keysOf(7n)).toEqual([]);
    expect(runToEnd(lessor.keysTask(7n, new Budget(0)))).toEqual([]);
  });

  it("copies very many keys in slices", () => {
    const { lessor } = newLessor();
    lessor.grant(1n, 10, 0);
    const keys = Array.from({ length: 10_000 }, (_, n) => `key ${n}`);
    for (const key of keys) lessor.attach(1n, key);
    const budget = new Budget(0);
    const task = lessor.keysTask(1n, budget);
    let slices = 0;
    let step = task.next();
    for (; step.done !== true; step = task.next()) {
      slices++;
      budget.left = 100;
    }
    expect(slices).toBeGreaterThan(10);
    expect(step.value.sort()).toEqual(keys.sort());
  });

  it("does not attach to an unknown lease, but to an expired one that is not revoked", () => {
    const { lessor } = newLessor();
    expect(lessor.attach(1n, "a")).toBe(false);
    lessor.promote(0, 0);
    lessor.grant(1n, 10, 0);
    lessor.takeExpired(60_000);
    expect(lessor.attach(1n, "a")).toBe(true);
  });

  it("forgets the keys of a removed lease", () => {
    const { backend, lessor } = newLessor();
    lessor.grant(1n, 10, 0);
    lessor.attach(1n, "a");
    lessor.attach(1n, "b");
    expect(lessor.remove(1n)).toBe(true);
    expect(lessor.remove(1n)).toBe(false);
    expect(lessor.leaseOf("a")).toBe(0n);
    expect(leaseRows(backend)).toEqual([]);
    expect(lessor.grant(1n, 10, 0).kind).toBe("granted");
    expect(lessor.keysOf(1n)).toEqual([]);
  });
});

describe("renew", () => {
  it("needs the primary and a known lease", () => {
    const { lessor } = newLessor();
    lessor.grant(1n, 10, 0);
    expect(lessor.renew(1n, 0)).toEqual({ kind: "notPrimary" });
    lessor.promote(0, 0);
    expect(lessor.renew(2n, 0)).toEqual({ kind: "leaseNotFound" });
    expect(lessor.renew(1n, 9_999)).toEqual({ kind: "renewed", ttl: 10 });
    expect(expiresAt(lessor, 1n)).toBe(19_999);
    expect(lessor.renew(1n, 19_999)).toEqual({ kind: "expired" });
  });

  it("of an expired lease waits for the revoke or the end of leadership", () => {
    const { lessor } = newLessor();
    lessor.promote(0, 0);
    lessor.grant(1n, 10, 0);
    lessor.grant(2n, 10, 0);
    const seen: string[] = [];
    lessor.onSettled(1n, (settled) => seen.push(`1 ${settled}`));
    lessor.onSettled(1n, (settled) => seen.push(`1 ${settled}`));
    const giveUp = lessor.onSettled(2n, (settled) => seen.push(`2 ${settled}`));
    lessor.onSettled(2n, (settled) => seen.push(`2 again ${settled}`));
    giveUp();
    lessor.remove(1n);
    lessor.demote();
    lessor.onSettled(1n, (settled) => seen.push(`late ${settled}`));
    lessor.onSettled(2n, (settled) => seen.push(`late ${settled}`));
    expect(seen).toEqual(["1 revoked", "1 revoked", "2 again demoted", "late revoked", "late demoted"]);
  });

  it("gives what the last checkpoint left, for good while checkpoints are off", () => {
    const { lessor } = newLessor();
    lessor.promote(0, 0);
    lessor.grant(1n, 100, 0);
    lessor.checkpoint(1n, 40, { persist: true, nowMs: 0 });
    expect(lessor.renew(1n, 0)).toEqual({ kind: "renewed", ttl: 100 });
    expect(expiresAt(lessor, 1n)).toBe(40_000);
  });

  it("asks for a checkpoint first where checkpoints are on, and goes on without when it failed", () => {
    const { lessor } = newLessor({ checkpoints: true });
    lessor.promote(0, 0);
    lessor.grant(1n, 100, 0);
    lessor.checkpoint(1n, 40, { persist: true, nowMs: 0 });
    expect(lessor.renew(1n, 0)).toEqual({ kind: "checkpointFirst" });
    expect(lessor.renew(1n, 0, { afterCheckpoint: true })).toEqual({ kind: "renewed", ttl: 100 });
    expect(expiresAt(lessor, 1n)).toBe(40_000);
    lessor.checkpoint(1n, 0, { persist: true, nowMs: 0 });
    expect(lessor.renew(1n, 0)).toEqual({ kind: "renewed", ttl: 100 });
    expect(expiresAt(lessor, 1n)).toBe(100_000);
  });
});

describe("timeToLive", () => {
  it("truncates towards zero, below it too", () => {
    const { lessor } = newLessor();
    lessor.grant(1n, 10, 0);
    expect(lessor.timeToLive(1n, 0)).toEqual({ kind: "notPrimary" });
    lessor.promote(0, 0);
    expect(lessor.timeToLive(2n, 0)).toEqual({ kind: "leaseNotFound" });
    const ttlAt = (nowMs: number): unknown => lessor.timeToLive(1n, nowMs);
    expect(ttlAt(0)).toEqual({ kind: "found", ttl: 10, grantedTtl: 10 });
    expect(ttlAt(1)).toEqual({ kind: "found", ttl: 9, grantedTtl: 10 });
    expect(ttlAt(10_500)).toEqual({ kind: "found", ttl: 0, grantedTtl: 10 });
    expect(ttlAt(12_500)).toEqual({ kind: "found", ttl: -2, grantedTtl: 10 });
  });
});

describe("list", () => {
  it("is sorted by what remains, on the primary", () => {
    const { lessor } = newLessor();
    lessor.promote(0, 0);
    for (const [id, ttl] of [
      [1n, 30],
      [2n, 10],
      [3n, 20],
    ] as const)
      lessor.grant(id, ttl, 0);
    expect(listOf(lessor)).toEqual([2n, 3n, 1n]);
    lessor.demote();
    expect(listOf(lessor)).toEqual([1n, 2n, 3n]);
  });
});

describe("takeExpired", () => {
  it("hands a lease out again after the retry interval, as long as it exists", () => {
    const { lessor } = newLessor({ expiredRetryMs: 3000 });
    lessor.promote(0, 0);
    lessor.grant(1n, 10, 0);
    expect(lessor.takeExpired(10_000)).toEqual([1n]);
    expect(lessor.takeExpired(12_999)).toEqual([]);
    expect(lessor.takeExpired(13_000)).toEqual([1n]);
    lessor.remove(1n);
    expect(lessor.takeExpired(99_000)).toEqual([]);
  });

  it("keeps what is over the limit for the next call", () => {
    const { lessor } = newLessor();
    lessor.promote(0, 0);
    for (let id = 1n; id <= 7n; id++) lessor.grant(id, 10, 0);
    expect(lessor.takeExpired(10_000, 5)).toHaveLength(5);
    expect(lessor.takeExpired(10_000, 5)).toHaveLength(2);
    expect(lessor.takeExpired(10_000, 5)).toHaveLength(0);
  });
});

describe("promote", () => {
  it("extends every lease by its term and the extension, counting from the last checkpoint", () => {
    const { lessor } = newLessor();
    lessor.grant(1n, 10, 0);
    lessor.grant(2n, 100, 0);
    lessor.checkpoint(2n, 20, { persist: false, nowMs: 0 });
    lessor.promote(5000, 1000);
    expect(lessor.timeToLive(1n, 5000)).toMatchObject({ ttl: 11 });
    expect(lessor.timeToLive(2n, 5000)).toMatchObject({ ttl: 21, grantedTtl: 100 });
  });

  it("spreads leases that would expire together", () => {
    const count = 20;
    const perSecond = 4;
    const { lessor } = newLessor({ spreadCountMin: count, spreadPerSecond: perSecond });
    for (let id = 1; id <= count; id++) lessor.grant(BigInt(id), 10, 0);
    lessor.promote(0, 1000);
    // Never more than the target in any second, and the first four keep their time.
    let seconds = 0;
    let left = count;
    for (let nowMs = 11_000; left > 0; nowMs += 1000) {
      const taken = lessor.takeExpired(nowMs).length;
      expect(taken).toBeLessThanOrEqual(perSecond + 1);
      left -= taken;
      seconds++;
    }
    expect(seconds).toBeGreaterThanOrEqual(count / perSecond);
    expect(lessor.timeToLive(1n, 0)).toMatchObject({ ttl: 11 });
  });

  it("is carried out in steps, and at once for a lease that is asked for", () => {
    const { lessor } = newLessor();
    for (let id = 1n; id <= 5n; id++) lessor.grant(id, 10, 0);
    lessor.promote(0, 1000);
    expect(lessor.renew(4n, 2000)).toEqual({ kind: "renewed", ttl: 10 });
    expect(lessor.remove(5n)).toBe(true);
    lessor.checkpoint(3n, 4, { persist: false, nowMs: 0 });
    expect(lessor.promotionStep(2)).toBe(true);
    // Over before it is through: the next one starts from the beginning.
    lessor.promote(500, 1000);
    expect(lessor.promotionStep(4)).toBe(true);
    expect(lessor.promotionStep(4)).toBe(false);
    expect(listOf(lessor)).toEqual([3n, 1n, 2n, 4n]);
    expect([1n, 2n, 3n, 4n].map((id) => expiresAt(lessor, id))).toEqual([11_500, 11_500, 5_500, 11_500]);
    lessor.demote();
    expect(lessor.promotionStep(4)).toBe(false);
  });

  it("does not spread fewer leases than the revoke rate", () => {
    const { lessor } = newLessor({ spreadCountMin: 21, spreadPerSecond: 4 });
    for (let id = 1; id <= 20; id++) lessor.grant(BigInt(id), 10, 0);
    lessor.promote(0, 1000);
    expect(lessor.takeExpired(11_000)).toHaveLength(20);
  });
});

describe("checkpoints", () => {
  it("come every five minutes for leases that have longer to live, while the gate is on", () => {
    const { lessor } = newLessor({ checkpoints: true });
    lessor.promote(0, 0);
    lessor.grant(1n, 300, 0);
    lessor.grant(2n, 1000, 0);
    expect(lessor.takeCheckpoints(299_999)).toEqual([]);
    expect(lessor.takeCheckpoints(300_000)).toEqual([{ id: 2n, remainingTtl: 700 }]);
    lessor.checkpoint(2n, 700, { persist: true, nowMs: 300_000 });
    expect(lessor.takeCheckpoints(599_999)).toEqual([]);
    expect(lessor.takeCheckpoints(600_000)).toEqual([{ id: 2n, remainingTtl: 400 }]);
    lessor.checkpoint(2n, 400, { persist: true, nowMs: 600_000 });
    expect(lessor.takeCheckpoints(900_000)).toEqual([{ id: 2n, remainingTtl: 100 }]);
    lessor.checkpoint(2n, 100, { persist: true, nowMs: 900_000 });
    expect(lessor.takeCheckpoints(2_000_000)).toEqual([]);
  });

  it("come again when the proposal was lost, are left out where nothing is lost, and are limited", () => {
    const { lessor } = newLessor({ checkpoints: true, checkpointIntervalMs: 10_000 });
    lessor.promote(0, 0);
    for (let id = 1n; id <= 3n; id++) lessor.grant(id, 60, 0);
    expect(lessor.takeCheckpoints(10_000, 2)).toHaveLength(2);
    expect(lessor.takeCheckpoints(10_000, 2)).toHaveLength(1);
    lessor.renew(1n, 20_000);
    expect(new Set(lessor.takeCheckpoints(20_000).map((each) => each.id))).toEqual(new Set([2n, 3n]));
    expect(lessor.takeCheckpoints(30_000).map((each) => each.id)).toContain(1n);
  });

  it("are persisted only if asked, and unknown leases are passed over", () => {
    const { backend, lessor } = newLessor();
    lessor.grant(1n, 100, 0);
    lessor.checkpoint(1n, 50, { persist: false, nowMs: 0 });
    expect(leaseRows(backend)).toEqual(["0000000000000001=08011064"]);
    lessor.checkpoint(1n, 40, { persist: true, nowMs: 0 });
    expect(leaseRows(backend)).toEqual(["0000000000000001=080110641828"]);
    lessor.checkpoint(9n, 40, { persist: true, nowMs: 0 });
    expect(leaseRows(backend)).toHaveLength(1);
  });
});

describe("restore", () => {
  it("loads leases without expiry, raises short TTLs in memory, and forgets everything else", () => {
    const { backend, lessor } = newLessor();
    lessor.grant(1n, 3, 0);
    lessor.grant(2n, 100, 0);
    lessor.checkpoint(2n, 30, { persist: true, nowMs: 0 });
    const rows = leaseRows(backend);

    const other = newLessor({ ttlSecondsMin: 5 }).lessor;
    other.promote(0, 0);
    other.grant(9n, 10, 0);
    other.attach(9n, "a");
    const seen: string[] = [];
    other.onSettled(9n, (settled) => seen.push(settled));
    runToEnd(other.restoreTask(backend, new Budget(Number.POSITIVE_INFINITY)));
    expect(seen).toEqual(["demoted"]);
    expect(listOf(other)).toEqual([1n, 2n]);
    expect(other.leaseOf("a")).toBe(0n);
    expect(other.isPrimary).toBe(false);
    expect(leaseRows(backend)).toEqual(rows);
    other.promote(0, 0);
    expect(other.timeToLive(1n, 0)).toMatchObject({ ttl: 5, grantedTtl: 5 });
    expect(other.timeToLive(2n, 0)).toMatchObject({ ttl: 30, grantedTtl: 100 });
  });
});
