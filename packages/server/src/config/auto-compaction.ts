/** How much history automatic compaction keeps. Source: etcd server/embed/etcd.go parseCompactionRetention. */

import { durationError, parseDuration } from "./go-values.js";
import { accepted, type Parsed, refused } from "./parsed.js";

export type AutoCompaction =
  | { readonly kind: "off" }
  | { readonly kind: "periodic"; readonly periodMs: number }
  | { readonly kind: "revision"; readonly retention: number };

const hourMs = 3_600_000;

/** A whole number means hours or revisions, other text is a duration; 0 turns compaction off. */
export function parseAutoCompaction(mode: string, text: string): Parsed<AutoCompaction> {
  if (mode !== "periodic" && mode !== "revision") {
    return refused(`unknown auto-compaction-mode ${JSON.stringify(mode)}`);
  }
  const count = /^\+?\d+$/.test(text) ? Number(text) : undefined;
  const periodMs = count === undefined ? parseDuration(text) : count * hourMs;
  if (periodMs === undefined) return refused(`error parsing CompactionRetention: ${durationError(text)}`);
  if (periodMs < 0) return refused(`--auto-compaction-retention must be >=0 (set to ${text})`);
  if (periodMs === 0) return accepted({ kind: "off" });
  if (mode === "periodic") return accepted({ kind: "periodic", periodMs });
  // etcd takes a duration's nanoseconds for revisions and would never compact; nobody can have meant that.
  if (count === undefined) return refused(`--auto-compaction-retention ${JSON.stringify(text)} must be a number`);
  return accepted({ kind: "revision", retention: count });
}
