/** What a majority, or two majorities at once, agree on. Source: thesis §3.6, §4.3. */

import type { NodeId } from "./types.js";

/** `pending`: neither won nor lost while some have not answered. */
export type VoteResult = "pending" | "lost" | "won";

/** The voters of one half of a configuration, without duplicates. */
export type Majority = readonly NodeId[];

/**
 * The highest value that a majority has reached, given every voter's (0: unknown); `Infinity` when there are no voters.
 * Sorts `values` in place.
 */
export function majorityValue(values: number[]): number {
  const count = values.length;
  if (count === 0) return Number.POSITIVE_INFINITY;
  // Groups are small, so that insertion sort beats Array.sort with its comparator.
  for (let i = 1; i < count; i++) {
    const value = values[i] as number;
    let j = i - 1;
    for (; j >= 0 && (values[j] as number) > value; j--) values[j + 1] = values[j] as number;
    values[j + 1] = value;
  }
  return values[count - (Math.floor(count / 2) + 1)] as number;
}

/** The highest index that a majority of `voters` has acknowledged. */
export function majorityIndex(voters: Majority, acknowledged: (id: NodeId) => number | undefined): number {
  return majorityValue(voters.map((id) => acknowledged(id) ?? 0));
}

/** The highest index that majorities of both halves have acknowledged. */
export function jointIndex(
  voters: Majority,
  outgoing: Majority,
  acknowledged: (id: NodeId) => number | undefined,
): number {
  return Math.min(majorityIndex(voters, acknowledged), majorityIndex(outgoing, acknowledged));
}

/** The outcome of an election among `voters`; without voters it is won. */
export function majorityVote(voters: Majority, votes: ReadonlyMap<NodeId, boolean>): VoteResult {
  if (voters.length === 0) return "won";
  let granted = 0;
  let missing = 0;
  for (const id of voters) {
    const vote = votes.get(id);
    if (vote === undefined) missing++;
    else if (vote) granted++;
  }
  const needed = Math.floor(voters.length / 2) + 1;
  if (granted >= needed) return "won";
  return granted + missing >= needed ? "pending" : "lost";
}

/** The outcome of an election that must be won in both halves. */
export function jointVote(voters: Majority, outgoing: Majority, votes: ReadonlyMap<NodeId, boolean>): VoteResult {
  const first = majorityVote(voters, votes);
  const second = majorityVote(outgoing, votes);
  if (first === second) return first;
  return first === "lost" || second === "lost" ? "lost" : "pending";
}
