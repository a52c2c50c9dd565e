import { beforeAll, describe, expect, test } from "vitest";
import { Auditor } from "./auditor.js";
import type { Answer, Fact, Request, SeenEvent, WatchFact, WatchSpec } from "./history.js";
import { isLinearizable, type Operation, registersOf } from "./linearizability.js";
import { drawOptions, type SimOptions } from "./options.js";
import { SimRandom } from "./random.js";
import { simulate } from "./simulation.js";

type Ok = Extract<Answer, { kind: "ok" }>;
type Events = Extract<WatchFact, { kind: "events" }>;

const perMutation = 12;
const hookTimeoutMs = 300_000;
let history: readonly Fact[] = [];

/** Whole options, so that what is drawn for others does not change this run. */
function optionsOf(seed: number, leases: boolean): SimOptions {
  return {
    ...drawOptions(seed, {
      ...{ seconds: 10, members: 3, clients: 10, requestsPerSecond: 20, leases },
      ...{ faults: ["kill", "delay", "isolate"], operations: leases ? ["compact"] : [] },
    }),
    ...{ keys: 10, valueBytes: 0, heartbeatMs: 100, electionMs: 1000, faultIntervalMs: 1000, progressNotifyMs: 600 },
    ...{ watchEventsMax: 16_384, watchSyncRevisions: 1000, clientBufferBytes: 64 * 1024, messageBytesMax: 1 << 20 },
  };
}

async function record(options: SimOptions): Promise<readonly Fact[]> {
  const facts: Fact[] = [];
  const result = await simulate(options, { record: (fact) => facts.push(fact) });
  expect(result.violation).toBeUndefined();
  return facts;
}

beforeAll(async () => {
  history = await record(optionsOf(1, true));
}, hookTimeoutMs);

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

type Watched = Extract<Fact, { kind: "watched" }>;
type WatchSpecs = ReadonlyMap<number, WatchSpec>;

/** Histories with one watch response replaced by what `change` makes of it. */
function withResponse(
  random: SimRandom,
  change: (response: Events, spec: WatchSpec, isFirst: boolean) => readonly WatchFact[] | undefined,
): (readonly Fact[])[] {
  const specs: WatchSpecs = new Map(history.flatMap((fact) => (fact.kind === "watch" ? [[fact.id, fact.spec]] : [])));
  const started = new Set<number>();
  const changed: [number, readonly Watched[]][] = [];
  for (const [at, fact] of history.entries()) {
    if (fact.kind !== "watched" || fact.fact.kind !== "events") continue;
    const spec = specs.get(fact.id);
    const isFirst = !started.has(fact.id);
    started.add(fact.id);
    const responses = spec === undefined ? undefined : change(fact.fact, spec, isFirst);
    if (responses !== undefined) changed.push([at, responses.map((response) => ({ ...fact, fact: response }))]);
  }
  return some(changed, random).map(([at, facts]) => history.toSpliced(at, 1, ...facts));
}

function withEvents(random: SimRandom, change: (events: readonly SeenEvent[]) => readonly SeenEvent[] | undefined) {
  return withResponse(random, (response) => {
    const events = change(response.events);
    return events === undefined ? undefined : [{ ...response, events }];
  });
}

function withFirst(random: SimRandom, change: (event: SeenEvent) => SeenEvent | undefined) {
  return withEvents(random, ([first, ...rest]) => {
    const event = first === undefined ? undefined : change(first);
    return event === undefined ? undefined : [event, ...rest];
  });
}

/** Histories in which one more call is made and answered, at `places`. */
function withCall(
  random: SimRandom,
  places: readonly { readonly at: number; readonly request: Request; readonly answer: Partial<Ok> }[],
): (readonly Fact[])[] {
  return some(places, random).map(({ at, request, answer }) => {
    const time = history.slice(0, at).findLast((fact) => "at" in fact) as { at: number } | undefined;
    const id = 1_000_000;
    const ok: Ok = { kind: "ok", revision: 0, keys: [], ttl: 0, succeeded: true, ...answer };
    const now = (time?.at ?? 0) + 1e-6;
    return history.toSpliced(
      at,
      0,
      { kind: "invoke", id, request, at: now },
      { kind: "return", id, answer: ok, at: now },
    );
  });
}

/** Places behind answers of this kind of call. */
function behind(
  kind: Request["kind"],
): readonly { readonly at: number; readonly request: Request; readonly answer: Ok }[] {
  const requests = new Map<number, Request>();
  return history.flatMap((fact, i) => {
    if (fact.kind === "invoke") requests.set(fact.id, fact.request);
    if (fact.kind !== "return" || fact.answer.kind !== "ok") return [];
    const request = requests.get(fact.id);
    return request?.kind === kind ? [{ at: i + 1, request, answer: fact.answer }] : [];
  });
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
  "a get that goes back behind an earlier answer": (random) =>
    withCall(
      random,
      behind("put").flatMap(({ at, answer }) => {
        const range = { key: "nobody", rangeEnd: "" };
        const request: Request = { kind: "get", range, revision: 0, serializable: false };
        return answer.revision < 10 ? [] : [{ at, request, answer: { revision: answer.revision - 1 } }];
      }),
    ),
  "two puts of one revision": (random) =>
    withCall(
      random,
      behind("put").map(({ at, request, answer }) => ({ at, request, answer })),
    ),
  "Filter: a watch with an event of another key": (random) =>
    withEvents(random, ([first, ...rest]) =>
      first === undefined ? undefined : [{ ...first, kv: { ...first.kv, key: "elsewhere" } }, first, ...rest],
    ),
  "Ordered: a watch in another order": (random) =>
    withEvents(random, (events) => (events.length < 2 ? undefined : events.toReversed())),
  "Unique: a watch with an event twice": (random) => withEvents(random, (events) => [...events, ...events.slice(-1)]),
  "Unique: a response twice": (random) => withResponse(random, (response) => [response, response]),
  "Atomic: the events of a revision in two responses": (random) =>
    withResponse(random, (response) => {
      const { events } = response;
      const last = events.at(-1)?.kv.modRevision;
      if (events.length < 2 || events.at(-2)?.kv.modRevision !== last) return undefined;
      return [
        { ...response, events: events.slice(0, -1) },
        { ...response, events: events.slice(-1) },
      ];
    }),
  "Bookmarkable: progress that overtakes events": (random) =>
    withResponse(random, (response) => [{ kind: "progress", revision: response.revision }, response]),
  "Bookmarkable: events under an older header": (random) =>
    withResponse(random, (response) => [{ ...response, revision: (response.events[0]?.kv.modRevision ?? 0) - 1 }]),
  "Resumable: the first event is not the first one due": (random) =>
    withResponse(random, (response, spec, isFirst) =>
      !isFirst || spec.startRevision === 0 || response.events.length < 2
        ? undefined
        : [{ ...response, events: response.events.slice(1) }],
    ),
  "Reliable: a watch without an event": (random) =>
    withEvents(random, (events) => (events.length < 3 ? undefined : events.toSpliced(1, 1))),
  "Reliable: a response is left out": (random) =>
    withResponse(random, (response) => (response.events.length === 0 ? undefined : [])).filter((mutant) =>
      isFollowed(mutant),
    ),
  "IsCreate: an update that looks like a creation": (random) =>
    withFirst(random, (event) =>
      event.isDelete || event.kv.version === 1
        ? undefined
        : { ...event, kv: { ...event.kv, createRevision: event.kv.modRevision, version: 1 } },
    ),
  "IsCreate: a creation that looks like an update": (random) =>
    withFirst(random, (event) =>
      event.isDelete || event.kv.version !== 1
        ? undefined
        : { ...event, kv: { ...event.kv, createRevision: event.kv.createRevision - 1, version: 2 } },
    ),
  "PrevKV: another value before": (random) =>
    withFirst(random, (event) =>
      event.previous === undefined ? undefined : { ...event, previous: { ...event.previous, value: "other" } },
    ),
  "PrevKV: an older version before": (random) =>
    withFirst(random, (event) =>
      event.previous === undefined
        ? undefined
        : { ...event, previous: { ...event.previous, modRevision: event.previous.modRevision - 1 } },
    ),
  "a watch that takes a put for a delete": (random) =>
    withFirst(random, (event) => ({ ...event, isDelete: !event.isDelete })),
  "a watch with another value": (random) =>
    withFirst(random, (event) => (event.isDelete ? undefined : { ...event, kv: { ...event.kv, value: "other" } })),
  "a watch that is canceled for a compaction that did not reach it": (random) =>
    withResponse(random, ({ revision }) => [{ kind: "canceled", revision, compactRevision: 2, reason: "" }]),
  "an entry of the log twice": (random) => {
    const commits = [...history.entries()].filter(([, fact]) => fact.kind === "commit" && (fact.data?.length ?? 0) > 0);
    return some(commits, random).map(([at, fact]) => history.toSpliced(at, 0, fact));
  },
  "a lease renewed after its revoke was answered": (random) =>
    withCall(
      random,
      behind("revoke").flatMap(({ at, request }) => {
        if (request.kind !== "revoke") return [];
        return [{ at, request: { kind: "keep-alive", lease: request.lease } as const, answer: { ttl: 5 } }];
      }),
    ),
  "a revoke that is answered and not done": (random) =>
    withCall(
      random,
      behind("grant").flatMap(({ at, request }) => {
        if (request.kind !== "grant") return [];
        return [{ at, request: { kind: "revoke", lease: request.lease } as const, answer: {} }];
      }),
    ),
  "a compaction that is answered and not done": (random) =>
    withCall(
      random,
      behind("put").map(({ at }) => ({ at, request: { kind: "compact", revision: 1_000_000 }, answer: {} })),
    ),
  "a lease revoked as soon as it was granted": (random) => {
    // The grant's answer comes with a much longer time to live than the lease then has.
    const revoked = leasesRevokedByTheServer();
    return withAnswer("grant", random, (answer, request) =>
      request.kind === "grant" && revoked.has(request.lease) ? { ...answer, ttl: 100_000 } : undefined,
    );
  },
};

/** Whether the watch of a response that was left out got another one later. */
function isFollowed(mutant: readonly Fact[]): boolean {
  const at = history.findIndex((fact, i) => fact !== mutant[i]);
  const left = history[at];
  const id = left?.kind === "watched" ? left.id : undefined;
  return mutant.slice(at).some((fact) => fact.kind === "watched" && fact.id === id && fact.fact.kind === "events");
}

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
  let registers: readonly (readonly Operation[])[] = [];

  beforeAll(async () => {
    registers = registersOf(await record(optionsOf(3, false)));
  }, hookTimeoutMs);

  test("finds one for what a run recorded", () => {
    expect(registers.flat().length).toBeGreaterThan(300);
    for (const register of registers) expect(isLinearizable(register)).toBe("yes");
  });

  /** Registers with one answered read changed to `value`. */
  const withReads = (value: (read: Operation, register: readonly Operation[]) => string | null | undefined) =>
    registers.flatMap((register) =>
      register.flatMap((read) => {
        const other = read.kind === "read" ? value(read, register) : null;
        if (other === null || other === read.value) return [];
        return [register.map((one) => (one === read ? { ...one, value: other } : one))];
      }),
    );
  /** What had been replaced for good when the read began; null when there is nothing. */
  const replaced = (read: Operation, register: readonly Operation[]): string | null => {
    const writes = register.filter((one) => one.kind === "write" && one.returnedAt < read.invokedAt);
    const old = writes.find((one) => writes.some((later) => later.invokedAt > one.returnedAt));
    return old?.value ?? null;
  };
  const mutants: Record<string, () => readonly (readonly Operation[])[]> = {
    "a read of a value that was replaced before": () => withReads(replaced),
    "a read of a value that nobody wrote": () => withReads(() => "nobody's"),
    "a read of a value that is written later": () =>
      withReads((read, register) => {
        const later = register.find((one) => one.kind === "write" && one.invokedAt > read.returnedAt);
        return later?.value ?? null;
      }),
    "a write that is not there": () =>
      registers.flatMap((register) =>
        register.flatMap((write) => {
          const isSeen = register.some((one) => one.kind === "read" && one.value === write.value);
          return write.kind === "write" && isSeen ? [register.filter((one) => one !== write)] : [];
        }),
      ),
  };
  for (const [name, mutate] of Object.entries(mutants)) {
    test(`finds none with ${name}`, () => {
      const changed = some(mutate(), new SimRandom(7, name));
      expect(changed.length).toBe(perMutation);
      for (const mutant of changed) expect(isLinearizable(mutant)).toBe("no");
    });
  }
});
