/** etcdctl: finds the command, reads its flags, runs it, and says how it ended. */

import { type EtcdClient, isEtcdError } from "@etcd-ts/client";
import type { Command, Context, Io } from "./command.js";
import { alarmCommand } from "./commands/alarm.js";
import { authCommand } from "./commands/auth.js";
import { compactionCommand } from "./commands/compaction.js";
import { delCommand } from "./commands/del.js";
import { electCommand } from "./commands/elect.js";
import { endpointCommand } from "./commands/endpoint.js";
import { getCommand } from "./commands/get.js";
import { leaseCommand } from "./commands/lease.js";
import { lockCommand } from "./commands/lock.js";
import { defragCommand, downgradeCommand, moveLeaderCommand, snapshotCommand } from "./commands/maintenance.js";
import { memberCommand } from "./commands/member.js";
import { putCommand } from "./commands/put.js";
import { roleCommand } from "./commands/role.js";
import { txnCommand } from "./commands/txn.js";
import { userCommand } from "./commands/user.js";
import { versionCommand } from "./commands/version.js";
import { watchCommand } from "./commands/watch.js";
import { CtlError, ExitCode, messageOf } from "./exit.js";
import { FlagError, type FlagValues, HelpRequest, parseFlags } from "./flags.js";
import { applyEnvironment, globalFlags, makeClient, readCredentials } from "./globals.js";
import { flagLines, helpText, usageText } from "./help.js";
import { type Format, formats, Printer } from "./printer.js";

const helpCommand: Command = { name: "help", short: "Help about any command", group: "Utility commands" };

const optionsCommand: Command = {
  name: "options",
  short: "Show the global command-line flags",
  group: "Utility commands",
  run: async ({ io }) => {
    io.out(`The following options can be passed to any command:\n\n${flagLines(globalFlags)}`);
  },
};

export const root: Command = {
  name: "etcdctl",
  short: "A simple command line client for etcd3.",
  commands: [
    compactionCommand,
    delCommand,
    getCommand,
    leaseCommand,
    putCommand,
    txnCommand,
    watchCommand,
    alarmCommand,
    defragCommand,
    downgradeCommand,
    endpointCommand,
    memberCommand,
    moveLeaderCommand,
    snapshotCommand,
    electCommand,
    lockCommand,
    authCommand,
    roleCommand,
    userCommand,
    helpCommand,
    optionsCommand,
    versionCommand,
  ],
};

/** Runs one command line; answers with the exit code. */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  try {
    await dispatch(argv, io);
    return ExitCode.success;
  } catch (error) {
    if (error instanceof CtlError) {
      if (error.message !== "") io.error(`Error: ${error.message}\n`);
      return error.code;
    }
    io.error(`Error: ${messageOf(error)}\n`);
    return ExitCode.error;
  }
}

async function dispatch(argv: readonly string[], io: Io): Promise<void> {
  const asked = argv[0] === "help";
  const { command, path, rest } = find(asked ? argv.slice(1) : argv, io);
  if (asked) return io.out(helpText(command, path));
  const specs = [...(command.flags ?? []), ...globalFlags];
  let parsed: ReturnType<typeof parseFlags>;
  try {
    parsed = parseFlags(specs, rest);
  } catch (error) {
    if (error instanceof HelpRequest) return io.out(helpText(command, path));
    if (!(error instanceof FlagError)) throw error;
    io.error(`Error: ${error.message}\n${usageText(command, path)}`);
    throw new CtlError(ExitCode.error, "");
  }
  if (command.run === undefined) return io.out(helpText(command, path));
  await execute(command, parsed, io);
}

interface Found {
  readonly command: Command;
  readonly path: readonly string[];
  /** The arguments without the command's words. */
  readonly rest: readonly string[];
}

/** Words of the command may stand among flags. */
function find(argv: readonly string[], io: Io): Found {
  let command = root;
  const path = [root.name];
  const rest: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const arg = argv[i] as string;
    if (arg === "--") {
      rest.push(...argv.slice(i));
      break;
    }
    if (arg.startsWith("-")) {
      rest.push(arg);
      if (takesNext(command, arg) && i + 1 < argv.length) rest.push(argv[++i] as string);
      continue;
    }
    const child: Command | undefined = command.commands?.find(({ name }) => name === arg);
    if (child === undefined) {
      if (command === root) throw unknownCommand(arg, io);
      rest.push(...argv.slice(i));
      break;
    }
    command = child;
    path.push(child.name);
  }
  return { command, path, rest };
}

function takesNext(command: Command, arg: string): boolean {
  if (arg.includes("=")) return false;
  const spec = [...(command.flags ?? []), ...globalFlags].find(
    ({ name, short }) => arg === `--${name}` || (short !== undefined && arg === `-${short}`),
  );
  return spec !== undefined && spec.type !== "bool";
}

function unknownCommand(name: string, io: Io): CtlError {
  io.error(`Error: unknown command ${JSON.stringify(name)} for "etcdctl"\nRun 'etcdctl --help' for usage.\n`);
  return new CtlError(ExitCode.error, "");
}

async function execute(command: Command, parsed: ReturnType<typeof parseFlags>, io: Io): Promise<void> {
  const { values: flags } = parsed;
  applyEnvironment(flags, io);
  const printer = makePrinter(flags, io);
  const credentials = await readCredentials(flags, io);
  const clients = new Map<string, EtcdClient>();
  const clientOf = (...endpoints: string[]): EtcdClient => {
    const name = endpoints.join(",");
    const client = clients.get(name) ?? makeClient(flags, endpoints, credentials);
    clients.set(name, client);
    return client;
  };
  const given = flags.strings("endpoints");
  const timed = { timeoutMs: flags.durationMs("command-timeout") };
  const context: Context = {
    ...parsed,
    flags,
    io,
    printer,
    timed,
    client: () => clientOf(...given),
    clientOf,
    endpoints: given,
  };
  try {
    const wantsAll = command.flags?.some(({ name }) => name === "cluster") === true && flags.bool("cluster");
    const endpoints = wantsAll ? await memberEndpoints(context) : given;
    await command.run?.({ ...context, endpoints });
  } catch (error) {
    if (!isEtcdError(error)) throw error;
    // Without a token there is no connection to speak of.
    throw new CtlError(error.reason === "authFailed" ? ExitCode.badConnection : ExitCode.error, messageOf(error));
  } finally {
    for (const client of clients.values()) client.close();
  }
}

function makePrinter(flags: FlagValues, io: Io): Printer {
  const format = flags.string("write-out");
  if (!formats.some((known) => known === format)) throw new CtlError(ExitCode.badFeature, "unsupported output format");
  return new Printer(format as Format, flags.bool("hex"), io.out);
}

async function memberEndpoints({ client, timed }: Context): Promise<readonly string[]> {
  const { members } = await client().cluster.memberList(timed);
  return members.flatMap(({ clientUrls }) => clientUrls);
}
