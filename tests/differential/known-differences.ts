/**
 * Where our answers are meant to differ from Go etcd's. Each difference carries a program that shows it; a run fails if
 * the program shows none, so that this table cannot outlive its reasons. See docs/compat.md.
 */

import type { Outcome } from "./endpoint.js";
import type { Operation, Program } from "./program.js";

export interface KnownDifference {
  readonly name: string;
  readonly reason: string;
  /** Whether the difference between the two outcomes of the operation is this one. */
  readonly explains: (operation: Operation, ours: Outcome, peer: Outcome) => boolean;
  /** Shows the difference in its last operation. */
  readonly example: Program;
}

export const knownDifferences: readonly KnownDifference[] = [];
