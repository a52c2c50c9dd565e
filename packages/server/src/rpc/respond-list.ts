/**
 * Answers with a long list, gathered and encoded in slices. The list must be the last field of the response, so that
 * messages with a part of it each, laid end to end, are the message with all of it.
 */

import { type MessageCodec, messageBytes } from "@etcd-ts/api";
import type { ServerCall } from "@etcd-ts/grpc";
import type { Budget, Task } from "@etcd-ts/store";
import type { Clock } from "../env.js";
import { runSlices, unitSlices } from "../slices.js";

/** Items of one part: less than a millisecond of work. */
const partItems = 1024;

export interface ListAnswer<Init, Item> {
  /** The response without the list. */
  readonly head: Init;
  /** Or what gathers them in slices. */
  readonly items: readonly Item[] | ((budget: Budget) => Task<readonly Item[]>);
  /** A response with some of the items and nothing else. */
  readonly partOf: (items: readonly Item[]) => Init;
}

export function respondList<M, Init, Item>(
  clock: Clock,
  call: ServerCall,
  codec: MessageCodec<M, Init>,
  answer: ListAnswer<Init, Item>,
): void {
  const encode = unitSlices((budget) => encodeTask(codec, answer, budget));
  call.onCancel(runSlices(clock, encode, (pieces) => call.respondPieces(pieces)));
}

function* encodeTask<M, Init, Item>(
  codec: MessageCodec<M, Init>,
  { head, items, partOf }: ListAnswer<Init, Item>,
  budget: Budget,
): Task<Uint8Array[]> {
  const list = typeof items === "function" ? yield* items(budget) : items;
  const pieces = [messageBytes(codec, head)];
  for (let from = 0; from < list.length; from += partItems) {
    const part = list.slice(from, from + partItems);
    pieces.push(messageBytes(codec, partOf(part)));
    budget.left -= part.length;
    if (budget.spent) yield;
  }
  return pieces;
}
