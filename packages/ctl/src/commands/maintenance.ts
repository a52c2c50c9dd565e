/** Single commands of maintenance: defragmentation, leadership, downgrade, snapshot. */

import { createHash } from "node:crypto";
import { open, rename } from "node:fs/promises";
import { maintenance } from "@etcd-ts/api";
import type { DowngradeResponse, MoveLeaderResponse } from "@etcd-ts/api/etcdserverpb";
import type { Answer } from "@etcd-ts/client";
import type { Command, Context } from "../command.js";
import { badArguments, CtlError, ExitCode, messageOf } from "../exit.js";
import { formatDuration, hexId, parseUint64 } from "../go-text.js";
import { clusterFlag } from "./endpoint.js";

const group = "Cluster maintenance commands";

export const defragCommand: Command = {
  name: "defrag",
  short: "Defragments the storage of the etcd members with given endpoints",
  group,
  flags: [clusterFlag],
  run: async ({ endpoints, clientOf, io, timed }) => {
    let failures = 0;
    for (const endpoint of endpoints) {
      const startedAt = performance.now();
      const took = (): string => formatDuration(performance.now() - startedAt);
      try {
        await clientOf(endpoint).maintenance.defragment(timed);
        io.out(`Finished defragmenting etcd member[${endpoint}]. took ${took()}\n`);
      } catch (error) {
        failures++;
        io.error(`Failed to defragment etcd member[${endpoint}]. took ${took()}. (${messageOf(error)})\n`);
      }
    }
    if (failures > 0) throw new CtlError(ExitCode.error, "");
  },
};

export const moveLeaderCommand: Command = {
  name: "move-leader",
  usage: "<transferee-member-id>",
  short: "Transfers leadership to another etcd cluster member.",
  group,
  run: async ({ args, endpoints, clientOf, printer, timed }) => {
    const [text] = args;
    if (text === undefined || args.length > 1) throw badArguments("move-leader command needs 1 argument");
    const target = targetOf(text);
    for (const endpoint of endpoints) {
      const { maintenance: service } = clientOf(endpoint);
      const { leader, header } = await service.status(timed);
      if (leader !== header.memberId) continue;
      const answer: Answer<MoveLeaderResponse> = await service.moveLeader(target, timed);
      printer.message(maintenance.moveLeader.response, answer, {
        simple: () => `Leadership transferred from ${hexId(leader)} to ${hexId(target)}\n`,
      });
      return;
    }
    throw badArguments(`no leader endpoint given at ${endpoints.join(",")}`);
  },
};

function targetOf(text: string): bigint {
  try {
    return parseUint64(text, 16);
  } catch (error) {
    throw badArguments(messageOf(error));
  }
}

export const downgradeCommand: Command = {
  name: "downgrade",
  short: "Downgrade related commands",
  group,
  commands: [
    {
      name: "cancel",
      short: "Cancel the ongoing downgrade action to cluster",
      run: (context) => downgrade(context, "CANCEL", "cancel", ""),
    },
    {
      name: "enable",
      usage: "<TARGET_VERSION>",
      short: "Start a downgrade action to cluster",
      run: (context) => downgrade(context, "ENABLE", "enable", versionOf(context.args)),
    },
    {
      name: "validate",
      usage: "<TARGET_VERSION>",
      short: "Validate downgrade capability before starting downgrade",
      run: (context) => downgrade(context, "VALIDATE", "validate", versionOf(context.args)),
    },
  ],
};

function versionOf(args: readonly string[]): string {
  if (args[0] === undefined) throw badArguments("TARGET_VERSION not provided");
  if (args.length > 1) throw badArguments("too many arguments");
  return args[0];
}

async function downgrade(
  { client, printer, timed }: Context,
  action: "VALIDATE" | "ENABLE" | "CANCEL",
  name: string,
  version: string,
): Promise<void> {
  const answer: Answer<DowngradeResponse> = await client().maintenance.downgrade(action, version, timed);
  printer.message(maintenance.downgrade.response, answer, {
    simple: () => `Downgrade ${name} success, cluster version ${answer.version}\n`,
  });
}

/** Bytes of the SHA-256 behind the database, whose own size is a multiple of the page size's smallest. */
const digestBytes = 32;
const pageBytesMin = 512;

export const snapshotCommand: Command = {
  name: "snapshot",
  short: "Manages etcd node snapshots",
  group,
  commands: [
    {
      name: "save",
      usage: "<filename>",
      short: "Stores an etcd node backend snapshot to a given file",
      run: async (context) => {
        const { args, endpoints, flags, io } = context;
        const [path] = args;
        if (path === undefined || args.length > 1) throw badArguments("snapshot save expects one argument <filename>");
        if (endpoints.length !== 1) {
          throw badArguments(`snapshot must be requested to one selected node, not multiple [${endpoints.join(" ")}]`);
        }
        const timeoutMs = flags.has("command-timeout") ? flags.durationMs("command-timeout") : undefined;
        try {
          const version = await saveSnapshot(context, path, timeoutMs);
          io.out(`Snapshot saved at ${path}\n`);
          if (version !== "") io.out(`Server version ${version}\n`);
        } catch (error) {
          throw new CtlError(ExitCode.interrupted, messageOf(error));
        }
      },
    },
  ],
};

/** Writes beside the target, checks, and renames: a file with the target's name is whole. */
async function saveSnapshot(context: Context, path: string, timeoutMs: number | undefined): Promise<string> {
  const part = `${path}.part`;
  const file = await open(part, "w", 0o600);
  let version = "";
  let size = 0;
  const hash = createHash("sha256");
  let tail = Buffer.alloc(0);
  try {
    for await (const { blob, version: announced } of context.client().maintenance.snapshot({ timeoutMs })) {
      version ||= announced;
      await file.write(blob);
      size += blob.length;
      // The last bytes are the digest of all before them.
      const pending = Buffer.concat([tail, blob]);
      const end = Math.max(0, pending.length - digestBytes);
      hash.update(pending.subarray(0, end));
      tail = pending.subarray(end);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  if (size % pageBytesMin !== digestBytes) throw new Error(`sha256 checksum not found [bytes: ${size}]`);
  if (!hash.digest().equals(tail)) throw new Error("the snapshot does not have the checksum that the server sent");
  await rename(part, path);
  return version;
}
