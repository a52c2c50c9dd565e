/** Prints what happens to a key or a range, from the command line or line by line. */

import { watch } from "@etcd-ts/api";
import { createWatchResponse, type WatchResponse as WireWatchResponse } from "@etcd-ts/api/etcdserverpb";
import { type Event, Event_EventType } from "@etcd-ts/api/mvccpb";
import { isCompactedError, isEtcdError, type Watcher, type WatchResponse } from "@etcd-ts/client";
import { argumentBytes } from "../arguments.js";
import { type Command, type Context, flag, intFlag } from "../command.js";
import { badArguments, CtlError, ExitCode, messageOf } from "../exit.js";
import { type FlagValues, parseFlags } from "../flags.js";
import { quote } from "../go-text.js";
import { encoded, jsonLine, type Printer } from "../printer.js";
import { splitWords } from "../words.js";

const watchFlags = [
  flag("prefix", "Watch on a prefix if prefix is set"),
  intFlag("rev", "Revision to start watching"),
  flag("prev-kv", "get the previous key-value pair before the event happens"),
  flag("progress-notify", "get periodic watch progress notification from server"),
  flag("interactive", "Interactive mode", { short: "i" }),
];

export const watchCommand: Command = {
  name: "watch",
  usage: "[options] [key or prefix] [range_end] [--] [exec-command arg1 arg2 ...]",
  short: "Watches events stream on keys or prefixes",
  group: "Key-value commands",
  flags: watchFlags,
  run: async (context) => {
    const { args, argsBeforeDash, flags } = context;
    if (flags.bool("interactive")) return interactive(context);
    const { range, command } = splitArguments(args, argsBeforeDash);
    const watcher = start(context, flags, withEnvironment(range, context));
    await follow(context, watcher, command);
    throw new CtlError(ExitCode.interrupted, "watch is canceled by the server");
  },
};

/** What stands behind `--` is a command to run for each event. */
function splitArguments(args: readonly string[], argsBeforeDash: number | undefined) {
  if (argsBeforeDash === undefined) return { range: args, command: [] };
  return { range: args.slice(0, argsBeforeDash), command: args.slice(argsBeforeDash) };
}

/** Key and range end may come from the environment instead. */
function withEnvironment(range: readonly string[], { io, flags }: Pick<Context, "io" | "flags">): readonly string[] {
  const { ETCDCTL_WATCH_KEY: key = "", ETCDCTL_WATCH_RANGE_END: end = "" } = io.environment;
  if (key === "" && end !== "")
    throw badArguments(`ETCDCTL_WATCH_KEY is empty but got ETCDCTL_WATCH_RANGE_END=${quote(end)}`);
  if (key !== "" && range.length > 0) throw badArguments("bad number of arguments (found conflicting environment key)");
  const words = key === "" ? range : [key, ...(end === "" ? [] : [end])];
  if (words.length === 0 || words.length > 2) throw badArguments("bad number of arguments");
  if (words.length === 2 && flags.bool("prefix"))
    throw badArguments("`range_end` and `--prefix` are mutually exclusive");
  return words;
}

function start(context: Context, flags: FlagValues, [key, rangeEnd]: readonly string[]): Watcher {
  return context.client().watch(argumentBytes(key ?? ""), {
    prefix: flags.bool("prefix"),
    rangeEnd: rangeEnd === undefined ? undefined : argumentBytes(rangeEnd),
    startRevision: flags.number("rev"),
    prevKv: flags.bool("prev-kv"),
    progressNotify: flags.bool("progress-notify"),
    requireLeader: false,
  });
}

/** Returns when the server has ended the watch. */
async function follow(context: Context, watcher: Watcher, command: readonly string[]): Promise<void> {
  const { io, printer } = context;
  try {
    for await (const response of watcher) {
      printWatch(response, printer);
      for (const event of response.events) await execute(context, command, response, event);
    }
  } catch (error) {
    if (!isEtcdError(error)) throw error;
    io.error(`watch was canceled (${messageOf(error)})\n`);
    printCanceled(watcher, error, printer);
  }
}

async function execute(
  { io }: Context,
  command: readonly string[],
  { header }: WatchResponse,
  event: Event,
): Promise<void> {
  if (command.length === 0) return;
  const status = await io.execute(command, {
    ETCD_WATCH_REVISION: String(header.revision),
    ETCD_WATCH_EVENT_TYPE: quote(event.type === Event_EventType.DELETE ? "DELETE" : "PUT"),
    ETCD_WATCH_KEY: quote(event.kv?.key ?? ""),
    ETCD_WATCH_VALUE: quote(event.kv?.value ?? ""),
  });
  if (status === 0) return;
  const how = typeof status === "string" ? `signal: ${status}` : `exit status ${status}`;
  io.error(`command [${command.map((word) => quote(word)).join(" ")}] error (${how})\n`);
  throw new CtlError(ExitCode.error, "");
}

async function interactive(context: Context): Promise<void> {
  const { io } = context;
  const { ETCDCTL_WATCH_KEY: environmentKey = "" } = io.environment;
  const follows: Promise<void>[] = [];
  for await (const line of io.lines()) {
    const [name, ...words] = splitWords(line);
    if (name === "progress" && words.length === 0) {
      context.client().requestProgress();
      continue;
    }
    if (name !== "watch") {
      io.error(`Invalid command ${line.trim()} (only support watch)\n`);
      continue;
    }
    if (words.length === 0 && environmentKey === "") {
      io.error(`Invalid command ${line.trim()} (command type or key is not provided)\n`);
      continue;
    }
    const { values, args, argsBeforeDash } = readLine(words);
    const { range, command } = splitArguments(args, argsBeforeDash);
    const watcher = start(context, values, withEnvironment(range, { io, flags: values }));
    follows.push(follow(context, watcher, command));
  }
  throw new CtlError(ExitCode.invalidInput, "error reading watch request line: EOF");
}

function readLine(words: readonly string[]) {
  try {
    return parseFlags(watchFlags, words);
  } catch (error) {
    throw badArguments(messageOf(error));
  }
}

function printWatch({ header, events }: WatchResponse, printer: Printer): void {
  printer.print({
    simple: () => {
      if (events.length === 0) return `progress notify: ${header.revision}\n`;
      return Buffer.concat(events.map((event) => simpleEvent(event, printer)));
    },
    fields: () => [printer.header(header), ...events.map((event) => fieldsEvent(event, printer))].join(""),
    json: () => jsonWatch(createWatchResponse({ header, events })),
    protobuf: () => encoded(watch.watch.response, createWatchResponse({ header, events })),
  });
}

function simpleEvent({ type, kv, prevKv }: Event, printer: Printer): Uint8Array {
  return Buffer.concat([
    Buffer.from(type === Event_EventType.DELETE ? "DELETE\n" : "PUT\n"),
    prevKv === undefined ? Buffer.of() : printer.pair(prevKv),
    kv === undefined ? Buffer.of() : printer.pair(kv),
  ]);
}

function fieldsEvent({ type, kv, prevKv }: Event, printer: Printer): string {
  return [
    `"Type" : ${type === Event_EventType.DELETE ? "DELETE" : "PUT"}\n`,
    prevKv === undefined ? "" : printer.pairFields("Prev", prevKv),
    kv === undefined ? "" : printer.pairFields("", kv),
  ].join("");
}

function printCanceled(watcher: Watcher, error: Error, printer: Printer): void {
  const compactRevision = isCompactedError(error) ? error.compactRevision : 0;
  const { header } = watcher;
  const response = createWatchResponse({ header, canceled: true, compactRevision });
  printer.print({
    simple: () => "",
    fields: () => printer.header(header),
    json: () => jsonWatch(response),
    protobuf: () => encoded(watch.watch.response, response),
  });
}

/** Go's client has a struct of its own for these. */
function jsonWatch(response: WireWatchResponse): string {
  const inner = jsonLine(watch.watch.response, createWatchResponse({ header: response.header }));
  const header = /^\{"header":(.*)\}\n$/.exec(inner)?.[1] ?? "{}";
  const events = jsonLine(watch.watch.response, createWatchResponse({ events: response.events }));
  const list = /^\{"events":(.*)\}\n$/.exec(events)?.[1] ?? "null";
  const { compactRevision, canceled, created } = response;
  return `{"Header":${header},"Events":${list},"CompactRevision":${compactRevision},"Canceled":${canceled},"Created":${created},"CancelReason":""}\n`;
}
