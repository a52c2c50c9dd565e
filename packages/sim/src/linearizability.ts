/**
 * Looks for an order of a key's operations that explains what clients saw, without a look at revisions or the log: the
 * algorithm of Wing and Gong with Lowe's memory, as in Porcupine. An operation whose outcome nobody knows may be
 * put anywhere after it was called, or nowhere.
 */

import type { Fact, Request } from "./history.js";

export interface Operation {
  /** A compare-and-swap that put its value is a write, one that did not a read. */
  readonly kind: "read" | "write" | "delete";
  /** What was read or written; undefined = no such key. */
  readonly value: string | undefined;
  readonly invokedAt: number;
  /** Infinity when no answer came. */
  readonly returnedAt: number;
}

/** Operations of each key, in the order of their calls. Keys with leases or multi-key changes are left out. */
export function registersOf(facts: readonly Fact[]): readonly (readonly Operation[])[] {
  const calls = new Map<number, { readonly request: Request; readonly at: number }>();
  const registers = new Map<string, Operation[]>();
  const excluded = new Set<string>();
  const add = (key: string, operation: Operation): void => {
    const list = registers.get(key);
    if (list === undefined) registers.set(key, [operation]);
    else list.push(operation);
  };
  for (const fact of facts) {
    if (fact.kind === "invoke") {
      calls.set(fact.id, { request: fact.request, at: fact.at });
      continue;
    }
    if (fact.kind !== "return") continue;
    const call = calls.get(fact.id);
    if (call === undefined) continue;
    calls.delete(fact.id);
    const { request, at: invokedAt } = call;
    const { answer } = fact;
    if (answer.kind === "refused" && answer.isDefinite) continue;
    const isKnown = answer.kind === "ok";
    const returnedAt = isKnown ? fact.at : Number.POSITIVE_INFINITY;
    const times = { invokedAt, returnedAt };
    if (request.kind === "put") {
      if (request.lease !== 0n) excluded.add(request.key);
      add(request.key, { kind: "write", value: request.value, ...times });
    } else if (request.kind === "delete") add(request.key, { kind: "delete", value: undefined, ...times });
    else if (request.kind === "cas") {
      if (!isKnown || answer.succeeded) add(request.key, { kind: "write", value: request.value, ...times });
      else add(request.key, { kind: "read", value: answer.keys[0]?.value, ...times });
    } else if (request.kind === "move") {
      add(request.to, { kind: "write", value: request.value, ...times });
      add(request.from, { kind: "delete", value: undefined, ...times });
    } else if (request.kind === "get" && isKnown && !request.serializable && request.revision === 0) {
      if (request.range.rangeEnd === "")
        add(request.range.key, { kind: "read", value: answer.keys[0]?.value, ...times });
    }
  }
  for (const { request, at } of calls.values()) {
    const times = { invokedAt: at, returnedAt: Number.POSITIVE_INFINITY };
    if (request.kind === "put" || request.kind === "cas")
      add(request.key, { kind: "write", value: request.value, ...times });
    if (request.kind === "delete") add(request.key, { kind: "delete", value: undefined, ...times });
  }
  for (const key of excluded) registers.delete(key);
  return [...registers.values()].map((list) => list.sort((a, b) => a.invokedAt - b.invokedAt));
}

const stepsMax = 2_000_000;

/** "unknown" when the search was given up. */
export function isLinearizable(operations: readonly Operation[]): "yes" | "no" | "unknown" {
  const remaining = operations.filter((one) => one.returnedAt < Number.POSITIVE_INFINITY).length;
  const done = new Uint8Array(operations.length);
  const seen = new Set<string>();
  let steps = 0;

  /** Operations before `first` are all done. */
  const search = (first: number, left: number, value: string | undefined): boolean => {
    if (left === 0) return true;
    if (steps++ > stepsMax) return false;
    let from = first;
    while (from < operations.length && done[from] === 1) from++;
    const key = memoryKey(done, from, value);
    if (seen.has(key)) return false;
    seen.add(key);
    // Nothing may come before an operation that had returned when it was called.
    let returnedMin = Number.POSITIVE_INFINITY;
    for (let i = from; i < operations.length; i++) {
      const operation = operations[i] as Operation;
      if (operation.invokedAt > returnedMin) break;
      if (done[i] === 1) continue;
      returnedMin = Math.min(returnedMin, operation.returnedAt);
      if (operation.kind === "read" && operation.value !== value) continue;
      done[i] = 1;
      const isKnown = operation.returnedAt < Number.POSITIVE_INFINITY;
      if (search(from, isKnown ? left - 1 : left, operation.kind === "read" ? value : operation.value)) return true;
      done[i] = 0;
    }
    return false;
  };
  if (search(0, remaining, undefined)) return "yes";
  return steps > stepsMax ? "unknown" : "no";
}

function memoryKey(done: Uint8Array, from: number, value: string | undefined): string {
  let text = `${from}:`;
  let last = done.length;
  while (last > from && done[last - 1] === 0) last--;
  for (let i = from; i < last; i++) text += done[i];
  return `${text}:${value ?? "\0"}`;
}
