import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MemoryBackend } from "../memory-backend.js";
import { Budget, runToEnd } from "../mvcc/budget.js";
import { Lessor } from "./lessor.js";

function listOf(lessor: Lessor): bigint[] {
  return runToEnd(lessor.listTask(new Budget(Number.POSITIVE_INFINITY)));
}

/**
 * The model: leases in a plain list, looked through from end to end, with the rules written down once more. The clock
 * is a number the commands move.
 */
interface ModelLease {
  readonly id: bigint;
  ttl: number;
  remainingTtl: number;
  expiryMs: number;
  /** When it is due to be taken as expired, or taken again. */
  dueMs: number;
  checkpointMs: number;
  /** As in the database. */
  stored: { ttl: number; remainingTtl: number };
  keys: Set<string>;
}

const ttlMin = 3;
const retryMs = 700;
const checkpointMs = 5_000;
const forever = Number.POSITIVE_INFINITY;

type Command =
  | { readonly kind: "grant"; readonly id: bigint; readonly ttl: number }
  | { readonly kind: "remove" | "renew" | "renewAfterCheckpoint" | "ttl" | "wait"; readonly id: bigint }
  | { readonly kind: "attach"; readonly id: bigint; readonly key: string }
  | { readonly kind: "detach"; readonly key: string }
  | { readonly kind: "checkpoint"; readonly id: bigint; readonly remainingTtl: number; readonly persist: boolean }
  | { readonly kind: "advance"; readonly ms: number }
  | { readonly kind: "takeExpired" | "takeCheckpoints"; readonly limit: number }
  | { readonly kind: "promote"; readonly extendMs: number }
  | { readonly kind: "step"; readonly count: number }
  | { readonly kind: "demote" | "restore" | "list" };

const id = fc.constantFrom(...[0n, 1n, 2n, 3n, 4n, 5n, -1n, 2n ** 62n]);
const key = fc.constantFrom("a", "b", "a\0", "\xff", "c");

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant("grant" as const),
      id,
      ttl: fc.constantFrom(-1, 0, 2, 3, 4, 7, 8, 20, 9_000_000_001),
    }),
  },
  {
    weight: 14,
    arbitrary: fc.record({
      kind: fc.constantFrom("remove", "renew", "renewAfterCheckpoint", "ttl", "wait" as const),
      id,
    }),
  },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("attach" as const), id, key }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("detach" as const), key }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("checkpoint" as const),
      id,
      remainingTtl: fc.constantFrom(0, 1, 6, 9),
      persist: fc.boolean(),
    }),
  },
  {
    weight: 14,
    arbitrary: fc.record({ kind: fc.constant("advance" as const), ms: fc.constantFrom(1, 300, 999, 4000) }),
  },
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constantFrom("takeExpired", "takeCheckpoints" as const),
      limit: fc.constantFrom(1, 2, 9),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("promote" as const), extendMs: fc.constantFrom(0, 1000) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("step" as const), count: fc.constantFrom(1, 2) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("list" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("demote", "restore" as const) }) },
);

class Pair {
  readonly #backend = new MemoryBackend();
  readonly #checkpoints: boolean;
  readonly #lessor: Lessor;
  #model: ModelLease[] = [];
  #primary = false;
  #now = 0;
  #waits: { readonly id: bigint; settled: string | undefined; expected: string | undefined }[] = [];

  constructor(checkpoints: boolean) {
    this.#checkpoints = checkpoints;
    this.#lessor = new Lessor(this.#backend, {
      ttlSecondsMin: ttlMin,
      checkpoints,
      expiredRetryMs: retryMs,
      checkpointIntervalMs: checkpointMs,
    });
  }

  run(step: Command): void {
    const lessor = this.#lessor;
    const now = this.#now;
    const lease = "id" in step ? this.#model.find((each) => each.id === step.id) : undefined;
    switch (step.kind) {
      case "grant": {
        const reason =
          step.id === 0n ? "leaseNotFound" : step.ttl > 9e9 ? "leaseTTLTooLarge" : lease ? "leaseExist" : undefined;
        const ttl = Math.max(step.ttl, ttlMin);
        expect(lessor.grant(step.id, step.ttl, now)).toEqual(
          reason === undefined ? { kind: "granted", id: step.id, ttl } : { kind: "refused", reason },
        );
        if (reason !== undefined) return;
        const granted: ModelLease = {
          id: step.id,
          ttl,
          remainingTtl: 0,
          expiryMs: forever,
          dueMs: forever,
          checkpointMs: forever,
          stored: { ttl, remainingTtl: 0 },
          keys: new Set(),
        };
        this.#model.push(granted);
        if (this.#primary) this.#refresh(granted, 0);
        return;
      }
      case "remove":
        expect(lessor.remove(step.id)).toBe(lease !== undefined);
        this.#model = this.#model.filter((each) => each !== lease);
        if (lease !== undefined) this.#settle(step.id, "revoked");
        return;
      case "renew":
      case "renewAfterCheckpoint": {
        const afterCheckpoint = step.kind === "renewAfterCheckpoint";
        const result = lessor.renew(step.id, now, { afterCheckpoint });
        if (!this.#primary) expect(result.kind).toBe("notPrimary");
        else if (lease === undefined) expect(result.kind).toBe("leaseNotFound");
        else if (lease.expiryMs <= now) expect(result.kind).toBe("expired");
        else if (this.#checkpoints && lease.remainingTtl > 0 && !afterCheckpoint)
          expect(result.kind).toBe("checkpointFirst");
        else {
          expect(result).toEqual({ kind: "renewed", ttl: lease.ttl });
          lease.expiryMs = now + term(lease);
          lease.dueMs = lease.expiryMs;
        }
        return;
      }
      case "ttl": {
        const result = lessor.timeToLive(step.id, now);
        if (lease === undefined) expect(result.kind).toBe("leaseNotFound");
        else if (lease.expiryMs === forever) expect(result.kind).toBe("notPrimary");
        else
          expect(result).toMatchObject({ ttl: Math.trunc((lease.expiryMs - now) / 1000) + 0, grantedTtl: lease.ttl });
        return;
      }
      case "wait": {
        const wait = {
          id: step.id,
          settled: undefined as string | undefined,
          expected: undefined as string | undefined,
        };
        this.#waits.push(wait);
        if (lease === undefined) wait.expected = "revoked";
        else if (!this.#primary) wait.expected = "demoted";
        lessor.onSettled(step.id, (settled) => {
          expect(wait.settled).toBeUndefined();
          wait.settled = settled;
        });
        return;
      }
      case "attach":
        expect(lessor.attach(step.id, step.key)).toBe(lease !== undefined);
        if (lease === undefined) return;
        for (const each of this.#model) each.keys.delete(step.key);
        lease.keys.add(step.key);
        return;
      case "detach":
        lessor.detach(step.key);
        for (const each of this.#model) each.keys.delete(step.key);
        return;
      case "checkpoint":
        lessor.checkpoint(step.id, step.remainingTtl, { persist: step.persist, nowMs: now });
        if (lease === undefined) return;
        lease.remainingTtl = step.remainingTtl;
        if (step.persist) lease.stored = { ttl: lease.ttl, remainingTtl: lease.remainingTtl };
        if (this.#primary) this.#schedule(lease);
        return;
      case "advance":
        this.#now += step.ms;
        return;
      case "takeExpired": {
        const due = this.#model.filter((each) => each.dueMs <= now).sort((a, b) => a.dueMs - b.dueMs);
        const taken = lessor.takeExpired(now, step.limit);
        // Leases that are due at the same moment come in any order.
        expect(taken.map((one) => this.#get(one).dueMs)).toEqual(due.slice(0, step.limit).map((each) => each.dueMs));
        expect(new Set(taken).size).toBe(taken.length);
        for (const one of taken) this.#get(one).dueMs = now + retryMs;
        return;
      }
      case "takeCheckpoints": {
        while (lessor.promotionStep());
        const due = this.#model.filter((each) => each.checkpointMs <= now && each.expiryMs > now);
        const taken = lessor.takeCheckpoints(now, 1000);
        const expected = due
          .map((each) => ({ id: each.id, remainingTtl: Math.ceil((each.expiryMs - now) / 1000), ttl: each.ttl }))
          .filter((each) => each.remainingTtl < each.ttl)
          .map(({ id: one, remainingTtl }) => ({ id: one, remainingTtl }));
        expect(sorted(taken)).toEqual(sorted(expected));
        for (const each of this.#model) {
          if (each.checkpointMs > now) continue;
          each.checkpointMs = forever;
          if (each.expiryMs > now) this.#schedule(each);
        }
        return;
      }
      case "promote":
        lessor.promote(now, step.extendMs);
        this.#primary = true;
        for (const each of this.#model) {
          each.checkpointMs = forever;
          this.#refresh(each, step.extendMs);
        }
        return;
      case "list": {
        const expected = this.#model.map((each) => each.expiryMs).sort((a, b) => (a === b ? 0 : a - b));
        expect(listOf(lessor).map((one) => this.#get(one).expiryMs)).toEqual(expected);
        return;
      }
      case "step":
        lessor.promotionStep(step.count);
        return;
      case "demote":
        lessor.demote();
        this.#demote();
        return;
      case "restore":
        runToEnd(lessor.restoreTask(this.#backend, new Budget(Number.POSITIVE_INFINITY)));
        this.#demote();
        for (const each of this.#model) {
          each.ttl = each.stored.ttl;
          each.remainingTtl = each.stored.remainingTtl;
          each.keys.clear();
        }
        return;
    }
  }

  check(): void {
    const lessor = this.#lessor;
    same(lessor.count, this.#model.length);
    same(lessor.isPrimary, this.#primary);
    for (const each of this.#model) {
      same(lessor.exists(each.id), true);
      same(lessor.keysOf(each.id).sort().join(), [...each.keys].sort().join());
      for (const one of each.keys) same(lessor.leaseOf(one), each.id);
    }
    for (const wait of this.#waits) same(wait.settled, wait.expected);
  }

  #demote(): void {
    this.#primary = false;
    for (const each of this.#model) {
      each.expiryMs = forever;
      each.dueMs = forever;
      each.checkpointMs = forever;
      this.#settle(each.id, "demoted");
    }
  }

  #refresh(lease: ModelLease, extendMs: number): void {
    lease.expiryMs = this.#now + extendMs + term(lease);
    lease.dueMs = lease.expiryMs;
    this.#schedule(lease);
  }

  #schedule(lease: ModelLease): void {
    if (this.#checkpoints && term(lease) > checkpointMs) lease.checkpointMs = this.#now + checkpointMs;
  }

  #settle(one: bigint, how: string): void {
    for (const wait of this.#waits) if (wait.id === one) wait.expected ??= how;
  }

  #get(one: bigint): ModelLease {
    const lease = this.#model.find((each) => each.id === one);
    if (lease === undefined) throw new Error(`lease ${one} is not in the model`);
    return lease;
  }
}

function term(lease: ModelLease): number {
  return 1000 * (lease.remainingTtl > 0 ? lease.remainingTtl : lease.ttl);
}

/** `expect(…).toBe(…)`, which is too slow for what is asked a million times. */
function same(actual: unknown, expected: unknown): void {
  if (actual !== expected) expect(actual).toBe(expected);
}

function sorted<T extends { id: bigint }>(list: readonly T[]): T[] {
  return [...list].sort((a, b) => (a.id < b.id ? -1 : 1));
}

describe("the lessor behaves as a sorted list of leases", () => {
  it("in 120 000 random commands", () => {
    let commands = 0;
    fc.assert(
      fc.property(
        fc.boolean(),
        fc.array(command, { minLength: 80, maxLength: 160, size: "max" }),
        (checkpoints, steps) => {
          const pair = new Pair(checkpoints);
          for (const step of steps) {
            pair.run(step);
            pair.check();
          }
          commands += steps.length;
        },
      ),
      { seed: 1, numRuns: 1000 },
    );
    expect(commands).toBeGreaterThan(100_000);
  });
});
