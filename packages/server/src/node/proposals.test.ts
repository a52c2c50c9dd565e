import type { ConfChange, Refusal } from "@etcd-ts/raft";
import { beforeEach, expect, test } from "vitest";
import type { Clock } from "../env.js";
import { Proposals } from "./proposals.js";
import type { RaftLoop } from "./raft-loop.js";
import { RequestIds } from "./request-ids.js";

const dropped: Refusal = { kind: "proposal-dropped", message: "raft proposal dropped" } as unknown as Refusal;
const loop = {
  isSuspended: false,
  refusal: undefined as Refusal | undefined,
  proposed: [] as ConfChange[],
  proposeConfChange(change: ConfChange): Refusal | undefined {
    if (this.refusal === undefined) this.proposed.push(change);
    return this.refusal;
  },
};
let proposals: Proposals;
let takesConfChanges: boolean;
let outcomes: string[];

beforeEach(() => {
  Object.assign(loop, { isSuspended: false, refusal: undefined, proposed: [] });
  takesConfChanges = false;
  outcomes = [];
  proposals = new Proposals({
    clock: { now: () => 0 } as Clock,
    ids: new RequestIds(1n, 0),
    loop: loop as unknown as RaftLoop,
    maxRequestBytes: 1000,
    timeoutMs: 1000,
    applyLag: () => 0,
    overloaded: () => {},
    takesConfChanges: () => takesConfChanges,
    timeoutReason: () => "timeout",
  });
});

function change(nodeId: bigint): () => void {
  const proposed = { type: 0, nodeId, context: new Uint8Array(0) } as unknown as Omit<ConfChange, "id">;
  return proposals.proposeConfChange(proposed, (outcome) => {
    outcomes.push(outcome.kind === "refused" ? `${nodeId} ${JSON.stringify(outcome.reason)}` : `${nodeId} changed`);
  });
}

const proposedNodes = (): bigint[] => loop.proposed.map(({ nodeId }) => nodeId);

/** However long that takes: only the client's deadline ends it. */
function tickLong(): void {
  for (let now = 0; now < 1_000_000; now += 100_000) proposals.tick(now);
}

test("a configuration change is proposed at once when there is a leader", () => {
  takesConfChanges = true;
  change(1n);
  expect(proposedNodes()).toEqual([1n]);
});

test("without a leader it waits for the next one, and those behind it for their turn", () => {
  change(1n);
  change(2n);
  tickLong();
  expect(proposedNodes()).toEqual([]);
  takesConfChanges = true;
  proposals.tick(0);
  expect(proposedNodes()).toEqual([1n]);
  proposals.tick(0);
  expect(proposedNodes()).toEqual([1n, 2n]);
  tickLong();
  expect(proposedNodes()).toEqual([1n, 2n]);
  expect(outcomes).toEqual([]);
});

test("it waits too while a leader that hands over drops it", () => {
  takesConfChanges = true;
  loop.refusal = dropped;
  change(1n);
  proposals.tick(0);
  loop.refusal = undefined;
  proposals.tick(0);
  expect(proposedNodes()).toEqual([1n]);
  expect(outcomes).toEqual([]);
});

test("who gives up is neither proposed nor answered", () => {
  change(1n)();
  change(2n);
  takesConfChanges = true;
  tickLong();
  proposals.stop();
  expect(proposedNodes()).toEqual([2n]);
  expect(outcomes).toEqual(['2 "stopped"']);
});

test("while the disk hangs and nobody leads it is refused, and so are those that wait", () => {
  change(1n);
  loop.isSuspended = true;
  change(2n);
  proposals.tick(0);
  expect(outcomes).toEqual(['2 "noLeader"', '1 "noLeader"']);
});

test("more than 16 do not wait", () => {
  for (let nodeId = 1n; nodeId <= 17n; nodeId++) change(nodeId);
  expect(outcomes).toEqual(['17 "requestTooManyRequests"']);
});
