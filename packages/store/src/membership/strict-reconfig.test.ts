import { describe, expect, it } from "vitest";
import type { Member } from "./member.js";
import { type Connections, isLearnerReady, refuseAdd, refusePromote, refuseRemove } from "./strict-reconfig.js";

/** "s" a started voter, "u" one that never started, "L" a learner; ids from 1. The asked member is 1. */
function table(kinds: string): Member[] {
  return [...kinds].map((kind, index) => ({
    id: BigInt(index + 1),
    peerUrls: [],
    isLearner: kind === "L",
    name: kind === "u" ? "" : "m",
    clientUrls: [],
  }));
}

/** Who is connected, besides member 1; all others are neither healthy nor active. */
function connected(ids: readonly number[]): Connections {
  return { self: 1n, isHealthy: (id) => ids.includes(Number(id)), isActive: (id) => ids.includes(Number(id)) };
}

describe("refuseAdd", () => {
  it.each([
    // A voter to a cluster of one: always, started or not.
    ["s", [], false, undefined],
    ["u", [], false, "memberNotEnoughStarted"],
    ["ss", [2], false, undefined],
    ["su", [2], false, "memberNotEnoughStarted"],
    ["ss", [], false, "unhealthy"],
    ["sss", [2, 3], false, undefined],
    ["sss", [2], false, "unhealthy"],
    ["ssu", [2], false, "memberNotEnoughStarted"],
    ["ssssu", [2, 3, 4], false, undefined],
    // A learner: only health counts, and not in a cluster of one.
    ["u", [], true, undefined],
    ["su", [2], true, undefined],
    ["ss", [], true, "unhealthy"],
    // Learners are no voters.
    ["sL", [], false, undefined],
  ] as const)("to %s with %j connected, learner %j: %j", (kinds, ids, isLearner, expected) => {
    expect(refuseAdd(table(kinds), isLearner, connected(ids))).toBe(expected);
  });
});

describe("refuseRemove", () => {
  it.each([
    // The last voter leaves none that started.
    ["s", 1, [], "memberNotEnoughStarted"],
    ["ss", 2, [2], undefined],
    // A member that is down may go, as long as the others are started.
    ["ss", 2, [], undefined],
    ["sss", 3, [], undefined],
    ["sss", 3, [3], "unhealthy"],
    ["sss", 3, [2, 3], undefined],
    ["su", 1, [2], "memberNotEnoughStarted"],
    ["ssu", 2, [2], "memberNotEnoughStarted"],
    // The asked member itself is never taken for down.
    ["sss", 1, [2], "unhealthy"],
    ["sss", 1, [2, 3], undefined],
    // Learners always, unknown ids on to the log.
    ["suL", 3, [], undefined],
    ["sss", 9, [2, 3], undefined],
  ] as const)("from %s member %j with %j connected: %j", (kinds, id, ids, expected) => {
    expect(refuseRemove(table(kinds), BigInt(id), connected(ids))).toBe(expected);
  });
});

describe("refusePromote", () => {
  it.each([
    ["sL", undefined],
    ["uL", "memberNotEnoughStarted"],
    ["suL", undefined],
    ["suuL", "memberNotEnoughStarted"],
  ])("in %s: %j", (kinds, expected) => {
    expect(refusePromote(table(kinds))).toBe(expected);
  });
});

describe("isLearnerReady", () => {
  it("from nine tenths of the leader's log on", () => {
    expect(isLearnerReady(89, 100)).toBe(false);
    expect(isLearnerReady(90, 100)).toBe(true);
  });
});
