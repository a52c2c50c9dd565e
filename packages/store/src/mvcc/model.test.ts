/** The store against a naive model, on random requests from fixed seeds. The slow test does the same for longer. */

import { expect, test } from "vitest";
import { compareWithModel } from "../testing/compare-with-model.js";

/** Prefixes of each other, neighbours, bytes above 0x7f. */
const keys = ["a", "a\0", "aa", "ab", "b", "k1", "k10", "k2", "z", "\x01", "\x80", "\xff\xff"];

test.each([1, 2, 3])("seed %i", (seed) => {
  const tally = compareWithModel({ seed, commands: 1500, keys, auditEvery: 100 });
  for (const kind of [
    "put",
    "range",
    "txn",
    "delete",
    "grant",
    "revoke",
    "compact",
    "hash",
    "restart",
    "replayed hash",
  ]) {
    expect(tally.get(kind), kind).toBeGreaterThan(3);
  }
});
