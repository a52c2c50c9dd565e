/**
 * Golden scripts of quorum arithmetic: `committed cfg=(1,2,3) [cfgj=(..)|cfgj=zero] idx=(10,_,5)` and `vote …
 * votes=(y,n,_)`.
 */

import { jointIndex, jointVote, majorityIndex, majorityVote } from "../quorum.js";
import { sortIds } from "../tracker.js";
import type { NodeId } from "../types.js";
import { argumentValues, type Command } from "./script.js";

const voteTexts = { won: "VoteWon", pending: "VotePending", lost: "VoteLost" } as const;

/** Runs one command. */
export function handleQuorum(command: Command): string {
  const voters = (argumentValues(command, "cfg") ?? []).map(BigInt);
  const joint = argumentValues(command, "cfgj");
  const outgoing = joint === undefined || joint[0] === "zero" ? [] : joint.map(BigInt);
  const ids = [...new Set([...voters, ...outgoing])];
  if (command.name === "committed") {
    const values = argumentValues(command, "idx") ?? [];
    const indexes = values.map((value) => (value === "_" ? undefined : Number(value)));
    if (indexes.length !== ids.length)
      return mismatch(
        ids,
        indexes.map((index) => index ?? 0),
      );
    const known = new Map(ids.map((id, i) => [id, indexes[i]]));
    const index =
      joint === undefined
        ? majorityIndex(voters, (id) => known.get(id))
        : jointIndex(voters, outgoing, (id) => known.get(id));
    return `${table(known)}${index === Number.POSITIVE_INFINITY ? "∞" : index}\n`;
  }
  if (command.name === "vote") {
    const values = argumentValues(command, "votes") ?? [];
    if (values.length !== ids.length)
      return mismatch(
        ids,
        values.map((value) => "_ny".indexOf(value)),
      );
    const votes = new Map<NodeId, boolean>();
    ids.forEach((id, i) => {
      if (values[i] !== "_") votes.set(id, values[i] === "y");
    });
    return `${voteTexts[joint === undefined ? majorityVote(voters, votes) : jointVote(voters, outgoing, votes)]}\n`;
  }
  return "unknown command";
}

function mismatch(ids: readonly NodeId[], values: readonly number[]): string {
  const map = sortIds(ids).map((id) => `${id}:{}`);
  return `error: mismatched input (explicit or _) for voters map[${map.join(" ")}]: [${values.join(" ")}]`;
}

/** The indexes of all ids, each with a bar as long as the number of ids behind it. */
function table(known: ReadonlyMap<NodeId, number | undefined>): string {
  const count = known.size;
  if (count === 0) return "<empty majority quorum>";
  let text = `${" ".repeat(count)}    idx\n`;
  for (const id of sortIds(known.keys())) {
    const index = known.get(id);
    const behind = [...known.values()].filter((other) => (other ?? 0) < (index ?? 0)).length;
    text += index === undefined ? `?${" ".repeat(count)}` : `${"x".repeat(behind)}>${" ".repeat(count - behind)}`;
    text += ` ${String(index ?? 0).padStart(5)}    (id=${id.toString(16)})\n`;
  }
  return text;
}
