import { expect, test } from "vitest";
import { parseAutoCompaction } from "./auto-compaction.js";

test.each([
  ["periodic", "0", { kind: "off" }],
  ["periodic", "2", { kind: "periodic", periodMs: 7_200_000 }],
  ["periodic", "30m", { kind: "periodic", periodMs: 1_800_000 }],
  ["revision", "0", { kind: "off" }],
  ["revision", "1000", { kind: "revision", retention: 1000 }],
])("%s %s", (mode, text, value) => {
  expect(parseAutoCompaction(mode, text)).toEqual({ kind: "ok", value });
});

test.each([
  ["foo", "0", 'unknown auto-compaction-mode "foo"'],
  ["periodic", "foo", 'error parsing CompactionRetention: time: invalid duration "foo"'],
  ["periodic", "-1", 'error parsing CompactionRetention: time: missing unit in duration "-1"'],
  ["periodic", "-1h", "--auto-compaction-retention must be >=0 (set to -1h)"],
  ["revision", "1h", '--auto-compaction-retention "1h" must be a number'],
])("%s %s is refused", (mode, text, error) => {
  expect(parseAutoCompaction(mode, text)).toEqual({ kind: "refused", error });
});
