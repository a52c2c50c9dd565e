import { beforeAll, describe, expect, test } from "vitest";
import { Auditor } from "./auditor.js";
import type { Answer, Fact, Request, SeenEvent, WatchFact } from "./history.js";
import { isLinearizable, registersOf } from "./linearizability.js";
import { drawOptions } from "./options.js";
import { SimRandom } from "./random.js";
import { simulate } from "./simulation.js";

type Ok = Extract<Answer, { kind: "ok" }>;
type Events = Extract<WatchFact, { kind: "events" }>;

const perMutation = 12;
let history: readonly Fact[] = [];

beforeAll(async () => {
  const facts: Fact[] = [];
  const options = drawOptions(1, {
    seconds: 15,
    members: 3,
    clients: 12,
    requestsPerSecond: 20,
    faults: ["kill", "delay", "isolate"],
    operations: ["compact"],
  });
  const result = await simulate({ ...options, keys: 10, valueBytes: 0 }, { record: (fact) => facts.push(fact) });
  expect(result.violation).toBeUndefined();
  history = facts;
});

function judge(facts: readonly Fact[]): readonly string[] {
  const violations: string[] = [];
  const auditor = new Auditor({ clockRateMax: 1.06, violation: (reason) => violations.push(reason) });
  for (const fact of facts) auditor.observe(fact);
  return violations;
}

/** Histories with one answer changed: of calls of this kind, where `change` returns another answer. */
function withAnswer(
  kind: Request["kind"],
  random: SimRandom,
  change: (answer: Ok, request: Request) => Answer | undefined,
): (readonly Fact[])[] {
  const requests = new Map<number, Request>();
  for (const fact of history) if (fact.kind === "invoke") requests.set(fact.id, fact.request);
  const changed: [number, Fact][] = [];
  for (const [at, fact] of history.entries()) {
    if (fact.kind !== "return" || fact.answer.kind !== "ok") continue;
    const request = requests.get(fact.id);
    if (request?.kind !== kind) continue;
    const answer = change(fact.answer, request);
    if (answer !== undefined) changed.push([at, { ...fact, answer }]);
  }
  return some(changed, random).map(([at, fact]) => history.with(at, fact));
}

function withEvents(random: SimRandom, change: (events: readonly SeenEvent[]) => readonly SeenEvent[] | undefined) {
  const changed: [number, Fact][] = [];
  for (const [at, fact] of history.entries()) {
    if (fact.kind !== "watched" || fact.fact.kind !== "events") continue;
    const events = change(fact.fact.events);
    const next: Events | undefined = events === undefined ? undefined : { ...fact.fact, events };
    if (next !== undefined) changed.push([at, { ...fact, fact: next }]);
  }
  return some(changed, random).map(([at, fact]) => history.with(at, fact));
}

function some<T>(items: readonly T[], random: SimRandom): readonly T[] {
  return Array.from({ length: Math.min(perMutation, items.length) }, () => random.pick(items));
}

const mutations: Record<string, (random: SimRandom) => (readonly Fact[])[]> = {
  "a get with another value": (random) =>
    withAnswer("get", random, (answer) => {
      const [first, ...rest] = answer.keys;
      return first === undefined ? undefined : { ...answer, keys: [{ ...first, value: "other" }, ...rest] };
    }),
  "a get without one of its keys": (random) =>
    withAnswer("get", random, (answer) =>
      answer.keys.length === 0 ? undefined : { ...answer, keys: answer.keys.slice(1) },
    ),
  "a get with another version": (random) =>
    withAnswer("get", random, (answer) => {
      const [first, ...rest] = answer.keys;
      return first === undefined ? undefined : { ...answer, keys: [{ ...first, version: first.version + 1 }, ...rest] };
    }),
  "a get of before it was called": (random) =>
    withAnswer("get", random, (answer, request) =>
      request.kind !== "get" || request.serializable || answer.revision < 50
        ? undefined
        : { ...answer, revision: answer.revision - 40 },
    ),
  "a get from the future": (random) =>
    withAnswer("get", random, (answer) => ({ ...answer, revision: answer.revision + 100_000 })),
  "a put at the revision before": (random) =>
    withAnswer("put", random, (answer) => ({ ...answer, revision: answer.revision - 1 })),
  "a put that was done and refused": (random) =>
    withAnswer("put", random, () => ({ kind: "refused", code: 3, message: "", isDefinite: true })),
  "a compare-and-swap that says the other": (random) =>
    withAnswer("cas", random, (answer) => ({ ...answer, succeeded: !answer.succeeded })),
  "a delete that claims another's deletion, or none": (random) =>
    withAnswer("delete", random, (answer) => (answer.succeeded ? undefined : { ...answer, succeeded: true })),
  "a watch without an event": (random) =>
    withEvents(random, (events) => (events.length < 2 ? undefined : events.slice(1))),
  "a watch with an event twice": (random) => withEvents(random, (events) => [...events, ...events.slice(-1)]),
  "a watch in another order": (random) =>
    withEvents(random, (events) => (events.length < 2 ? undefined : events.toReversed())),
  "a watch that takes a put for a delete": (random) =>
    withEvents(random, ([first, ...rest]) =>
      first === undefined ? undefined : [{ ...first, isDelete: !first.isDelete }, ...rest],
    ),
  "a watch with another value": (random) =>
    withEvents(random, ([first, ...rest]) =>
      first === undefined || first.isDelete ? undefined : [{ ...first, kv: { ...first.kv, value: "other" } }, ...rest],
    ),
  "an entry of the log twice": (random) => {
    const commits = [...history.entries()].filter(([, fact]) => fact.kind === "commit" && (fact.data?.length ?? 0) > 0);
    return some(commits, random).map(([at, fact]) => history.toSpliced(at, 0, fact));
  },
  "a lease revoked as soon as it was granted": (random) => {
    // The grant's answer comes with a much longer time to live than the lease then has.
    const revoked = leasesRevokedByTheServer();
    return withAnswer("grant", random, (answer, request) =>
      request.kind === "grant" && revoked.has(request.lease) ? { ...answer, ttl: 100_000 } : undefined,
    );
  },
};

function leasesRevokedByTheServer(): ReadonlySet<bigint> {
  const gone = new Set<bigint>();
  const byClients = new Set<bigint>();
  for (const fact of history) {
    if (fact.kind === "invoke" && fact.request.kind === "revoke") byClients.add(fact.request.lease);
    if (fact.kind === "invoke" && fact.request.kind === "grant") gone.add(fact.request.lease);
  }
  const auditor = new Auditor({ clockRateMax: 1, violation: () => undefined });
  for (const fact of history) auditor.observe(fact);
  for (const id of auditor.model.leaseIds()) gone.delete(id);
  for (const id of byClients) gone.delete(id);
  return gone;
}

describe("the judge of histories", () => {
  test("accepts what a run recorded", () => {
    expect(judge(history)).toEqual([]);
  });

  let rejected = 0;
  for (const [name, mutate] of Object.entries(mutations)) {
    test(`rejects ${name}`, () => {
      const mutants = mutate(new SimRandom(7, name));
      expect(mutants.length).toBeGreaterThan(0);
      for (const mutant of mutants) expect(judge(mutant)).not.toEqual([]);
      rejected += mutants.length;
    });
  }

  test("has rejected at least a hundred histories", () => {
    expect(rejected).toBeGreaterThanOrEqual(100);
  });
});

describe("the search for an order", () => {
  const facts: Fact[] = [];

  beforeAll(async () => {
    const overrides = { seconds: 15, members: 3, clients: 12, requestsPerSecond: 20, leases: false } as const;
    const options = drawOptions(3, { ...overrides, faults: ["kill", "delay"], operations: [] });
    const result = await simulate({ ...options, keys: 10, valueBytes: 0 }, { record: (fact) => facts.push(fact) });
    expect(result.violation).toBeUndefined();
  });

  test("finds one for what a run recorded", () => {
    const registers = registersOf(facts);
    expect(registers.flat().length).toBeGreaterThan(500);
    for (const register of registers) expect(isLinearizable(register)).toBe("yes");
  });

  test("finds none when a read is of a value that was replaced before", () => {
    let changed = 0;
    for (const register of registersOf(facts)) {
      const reads = register.filter((one) => one.kind === "read" && one.value !== undefined);
      const last = reads.at(-1);
      if (last === undefined || reads.length < 5) continue;
      const old = reads.find((one) => one.value !== last.value && one.returnedAt < last.invokedAt - 1000);
      if (
        old === undefined ||
        register.some((one) => one.kind !== "read" && one.value === old.value && one.returnedAt > last.invokedAt)
      ) {
        continue;
      }
      const mutant = register.map((one) => (one === last ? { ...one, value: old.value } : one));
      expect(isLinearizable(mutant)).toBe("no");
      changed++;
    }
    expect(changed).toBeGreaterThan(0);
  });
});
