/** The store against a naive model: more than 100 000 random requests, with few keys and with many. */

import { expect, test } from "vitest";
import { compareWithModel } from "../testing/compare-with-model.js";

const fewKeys = ["a", "a\0", "aa", "ab", "b", "k1", "k10", "k2", "z", "\x01", "\x80", "\xff\xff"];
const manyKeys = Array.from({ length: 60 }, (_, at) => `key-${at * 7}`);

test.each([11, 12, 13, 14, 15, 16])("few keys, seed %i", (seed) => {
  const tally = compareWithModel({ seed, commands: 12_000, keys: fewKeys, auditEvery: 1000 });
  expect(tally.get("replayed hash")).toBeGreaterThan(50);
});

test.each([21, 22, 23, 24])("many keys, seed %i", (seed) => {
  const tally = compareWithModel({ seed, commands: 8000, keys: manyKeys, auditEvery: 1000 });
  expect(tally.get("replayed hash")).toBeGreaterThan(30);
});
