/**
 * Runs our etcdctl and Go's with the same session, each against an etcd of its own, and compares what they print and
 * how they exit. The servers are Go's, so that every difference is the program's.
 *
 *   node build/tests/interop/ctl-compare.js [--part NAME]...
 */

import { join } from "node:path";
import { run } from "./etcdctl-compare.js";
import { bin } from "./support/comparison.js";

const ours = `${process.execPath} ${join(import.meta.dirname, "..", "..", "..", "bin", "etcdctl")}`;
const program = ["--etcdctl", join(bin, "etcdctl"), "--ours-etcdctl", ours];
const { passed, failed } = await run([
  ...program,
  "--ours",
  join(bin, "etcd"),
  "--without-logs",
  ...process.argv.slice(2),
]);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
