/**
 * The row `meta/confState`: raft's configuration as JSON. Source: server/storage/schema/confstate.go, and the JSON
 * names of raftpb.ConfState.
 */

import { encodeUtf8 } from "@etcd-ts/api";
import { assert } from "../assert.js";
import type { Backend } from "../backend.js";
import { isObject, type JsonValue, parseExact, stringifyExact } from "./exact-json.js";
import type { Member } from "./member.js";
import { rowText } from "./row-text.js";

export interface ConfState {
  readonly voters: readonly bigint[];
  readonly learners: readonly bigint[];
  readonly votersOutgoing: readonly bigint[];
  readonly learnersNext: readonly bigint[];
  readonly autoLeave: boolean;
}

/** The configuration a member table implies. etcd changes one member at a time, so it is never a joint one. */
export function confStateOf(members: readonly Member[]): ConfState {
  const ids = members.map((member) => ({ id: member.id, isLearner: member.isLearner }));
  ids.sort((left, right) => (left.id < right.id ? -1 : 1));
  return {
    voters: ids.filter((member) => !member.isLearner).map((member) => member.id),
    learners: ids.filter((member) => member.isLearner).map((member) => member.id),
    votersOutgoing: [],
    learnersNext: [],
    autoLeave: false,
  };
}

export function stringifyConfState(state: ConfState): string {
  const list = (ids: readonly bigint[]): readonly bigint[] | undefined => (ids.length === 0 ? undefined : ids);
  return stringifyExact({
    voters: list(state.voters),
    learners: list(state.learners),
    voters_outgoing: list(state.votersOutgoing),
    learners_next: list(state.learnersNext),
    auto_leave: state.autoLeave,
  });
}

/** Throws `JsonSyntaxError` or `AssertionError`: the row is our own, damage to it is corruption. */
export function parseConfState(text: string): ConfState {
  const value = parseExact(text);
  assert(isObject(value), "the stored conf state is an object");
  const {
    voters,
    learners,
    voters_outgoing: votersOutgoing,
    learners_next: learnersNext,
    auto_leave: autoLeave,
  } = value;
  return {
    voters: idList(voters),
    learners: idList(learners),
    votersOutgoing: idList(votersOutgoing),
    learnersNext: idList(learnersNext),
    autoLeave: autoLeave === true,
  };
}

export function storeConfState(backend: Backend, state: ConfState): void {
  backend.put("meta", encodeUtf8("confState"), encodeUtf8(stringifyConfState(state)));
}

export function loadConfState(backend: Backend): ConfState | undefined {
  const row = backend.get("meta", encodeUtf8("confState"));
  return row === undefined ? undefined : parseConfState(rowText(row));
}

function idList(value: JsonValue | undefined): bigint[] {
  if (value === undefined || value === null) return [];
  assert(Array.isArray(value), "a conf state holds lists of ids");
  const ids: bigint[] = [];
  for (const id of value) {
    assert(typeof id === "bigint", "a conf state holds lists of ids");
    ids.push(id);
  }
  return ids;
}
