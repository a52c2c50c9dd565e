/**
 * The program `etcdutl`: works on files of a member that does not run.
 *
 * Source: etcd etcdutl/etcdutl (command names, flags, texts, exit codes).
 */

import { existsSync } from "node:fs";
import { ImageFormatError } from "../bbolt/image-reader.js";
import { createNodeEnv } from "../platform/env.js";
import { ImageFile } from "../snapshot/image-file.js";
import { imageHashKv, imageStatus } from "../snapshot/image-status.js";
import { restoreSnapshot } from "../snapshot/restore-snapshot.js";
import { serverVersion } from "../version.js";
import { type FlagKinds, parseCommandLine, UsageError } from "./flags.js";
import { format, humanBytes, type Result } from "./print.js";

const env = createNodeEnv();

interface Command {
  readonly usage: string;
  readonly flags: FlagKinds;
  run(words: readonly string[], flags: ReadonlyMap<string, string>): Promise<string>;
}

const globalFlags: FlagKinds = { "write-out": "text", timeout: "text", help: "boolean" };
const exitBadArguments = 128;
const exitError = 1;

const commands: ReadonlyMap<string, Command> = new Map([
  ["snapshot status", { usage: "snapshot status <filename>", flags: {}, run: status }],
  [
    "snapshot restore",
    {
      usage: `snapshot restore <filename> --data-dir {output dir} [options]

      --name, --initial-cluster, --initial-cluster-token, --initial-advertise-peer-urls   as for etcd
      --wal-dir            directory of the write-ahead log, below the data directory by default
      --skip-hash-check    for a file copied from a data directory, which has no checksum
      --bump-revision      how much revisions jump ahead; needs --mark-compacted
      --mark-compacted     everything before the jump is compacted`,
      flags: {
        "data-dir": "text",
        "wal-dir": "text",
        name: "text",
        "initial-cluster": "text",
        "initial-cluster-token": "text",
        "initial-advertise-peer-urls": "text",
        "initial-memory-map-size": "text",
        "bump-revision": "text",
        "skip-hash-check": "boolean",
        "mark-compacted": "boolean",
      },
      run: restore,
    },
  ],
  ["hashkv", { usage: "hashkv <filename> [--rev revision]", flags: { rev: "text" }, run: hashKv }],
  ["version", { usage: "version", flags: {}, run: version }],
]);

async function status(words: readonly string[], flags: ReadonlyMap<string, string>): Promise<string> {
  const [file] = words;
  if (file === undefined || words.length > 1) {
    throw new UsageError("snapshot status requires exactly one argument", exitBadArguments);
  }
  const report = await withImage(file, (image) => imageStatus(image, env.digest)).catch((error: unknown) => {
    if (!(error instanceof ImageFormatError)) throw error;
    throw new Error(`snapshot file integrity check failed. 1 errors found.\n${error.message}`);
  });
  const result: Result = {
    heads: ["HASH", "REVISION", "TOTAL KEYS", "TOTAL SIZE", "VERSION"],
    row: [
      report.hash.toString(16),
      String(report.revision),
      String(report.totalKey),
      humanBytes(report.totalSize),
      report.version,
    ],
    json: { ...report },
    fields: [
      ["Hash", report.hash],
      ["Revision", report.revision],
      ["Keys", report.totalKey],
      ["Size", report.totalSize],
      ["Version", report.version],
    ],
  };
  return format(result, flags.get("write-out") ?? "simple");
}

async function hashKv(words: readonly string[], flags: ReadonlyMap<string, string>): Promise<string> {
  const [file] = words;
  if (file === undefined || words.length > 1) {
    throw new UsageError(`accepts 1 arg(s), received ${words.length}`, exitError);
  }
  const revision = wholeNumber("rev", flags.get("rev") ?? "0");
  const hash = await withImage(file, (image) => imageHashKv(image, env.digest, revision));
  if (typeof hash === "string") {
    throw new Error(
      hash === "compacted"
        ? "mvcc: required revision has been compacted"
        : "mvcc: required revision is a future revision",
    );
  }
  const result: Result = {
    heads: ["HASH", "HASH REVISION", "COMPACT REVISION"],
    row: [String(hash.hash), String(hash.hashRevision), String(hash.compactRevision)],
    json: { hash: hash.hash, hashRevision: hash.hashRevision, compactRevision: hash.compactRevision },
    fields: [
      ["Hash", hash.hash],
      ["Hash revision", hash.hashRevision],
      ["Compact revision", hash.compactRevision],
    ],
  };
  return format(result, flags.get("write-out") ?? "simple");
}

async function restore(words: readonly string[], flags: ReadonlyMap<string, string>): Promise<string> {
  const [file] = words;
  if (file === undefined || words.length > 1) {
    throw new UsageError("snapshot restore requires exactly one argument", exitBadArguments);
  }
  const bumpRevision = wholeNumber("bump-revision", flags.get("bump-revision") ?? "0");
  const markCompacted = isTrue(flags, "mark-compacted");
  if (bumpRevision > 0 !== markCompacted) {
    throw new UsageError("--mark-compacted required if --bump-revision > 0, disallowed otherwise", exitBadArguments);
  }
  const name = flags.get("name") ?? "default";
  const dataDir = flags.get("data-dir") ?? "";
  await restoreSnapshot(env, {
    file,
    name,
    initialCluster: flags.get("initial-cluster") ?? "default=http://localhost:2380",
    initialClusterToken: flags.get("initial-cluster-token") ?? "etcd-cluster",
    advertisedPeerUrls: (flags.get("initial-advertise-peer-urls") ?? "http://localhost:2380").split(","),
    dataDir: dataDir === "" ? `${name}.etcd` : dataDir,
    walDir: flags.get("wal-dir") || undefined,
    skipHashCheck: isTrue(flags, "skip-hash-check"),
    bumpRevision,
    markCompacted,
  });
  env.logger.log("info", "restored snapshot", { path: file, "data-dir": dataDir });
  return "";
}

function version(): Promise<string> {
  const [major, minor] = serverVersion.split(".");
  return Promise.resolve(`etcdutl version: ${serverVersion}\nAPI version: ${major}.${minor}\n`);
}

async function withImage<Result>(path: string, use: (image: ImageFile) => Promise<Result>): Promise<Result> {
  if (!existsSync(path)) throw new Error(`stat ${path}: no such file or directory`);
  const file = await env.disk.open(path, "read");
  try {
    return await use(new ImageFile(file, await file.size()));
  } finally {
    await file.close();
  }
}

function isTrue(flags: ReadonlyMap<string, string>, name: string): boolean {
  return flags.get(name) === "true";
}

function wholeNumber(flag: string, text: string): number {
  const value = /^\d{1,19}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw new UsageError(`invalid argument "${text}" for "--${flag}" flag`, exitError);
  return value;
}

function help(): string {
  const usages = [...commands.values()].map((command) => `  etcdutl ${command.usage}`).join("\n");
  return `Usage:\n${usages}\n\nFlags:\n  -w, --write-out   set the output format (fields, json, simple, table)\n`;
}

/** The command that `argv` begins with, and the rest. */
function findCommand(argv: readonly string[]): { readonly command: Command; readonly rest: readonly string[] } {
  const words = argv.filter((word) => !word.startsWith("-"));
  for (const length of [2, 1]) {
    const name = words.slice(0, length);
    const command = commands.get(name.join(" "));
    if (command === undefined) continue;
    const rest = [...argv];
    for (const word of name) rest.splice(rest.indexOf(word), 1);
    return { command, rest };
  }
  const unknown = `unknown command ${JSON.stringify(words[0] ?? "")} for "etcdutl"`;
  throw new UsageError(`${unknown}\nRun 'etcdutl --help' for usage.`, exitError);
}

async function run(argv: readonly string[]): Promise<string> {
  const isHelp = argv.length === 0 || argv[0] === "help" || argv[0] === "--help" || argv[0] === "-h";
  if (isHelp) return help();
  const { command, rest } = findCommand(argv);
  const { words, flags } = parseCommandLine(rest, { ...globalFlags, ...command.flags });
  return flags.has("help") ? `Usage:\n  etcdutl ${command.usage}\n` : command.run(words, flags);
}

run(process.argv.slice(2)).then(
  (text) => process.stdout.write(text),
  (error: unknown) => {
    process.stderr.write(`Error: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = error instanceof UsageError ? error.exitCode : exitError;
  },
);
