import { kv } from "@etcd-ts/api";
import type { DeleteRangeResponse } from "@etcd-ts/api/etcdserverpb";
import type { Answer, DeleteOptions } from "@etcd-ts/client";
import { argumentBytes, checkRangeFlags } from "../arguments.js";
import { type Command, flag } from "../command.js";
import { badArguments } from "../exit.js";
import type { FlagValues } from "../flags.js";
import { quote } from "../go-text.js";
import type { Printer } from "../printer.js";

/** Time to think better of it. */
const warningMs = 2000;

export const delCommand: Command = {
  name: "del",
  usage: "[options] <key> [range_end]",
  short: "Removes the specified key or range of keys [key, range_end)",
  group: "Key-value commands",
  flags: [
    flag("prefix", "delete keys with matching prefix"),
    flag("prev-kv", "return deleted key-value pairs"),
    flag("from-key", "delete keys that are greater than or equal to the given key using byte compare"),
    flag("range", "delete range of keys without delay"),
  ],
  run: async ({ args, flags, io, client, printer, timed }) => {
    const { key, ...options } = readDel(args, flags);
    const [first, end] = args;
    if (end !== undefined && !flags.bool("range")) {
      const keys = `Keys between ${quote(first ?? "")} and ${quote(end)} will be deleted.`;
      const seconds = `Please interrupt the command within next ${warningMs / 1000} seconds to cancel.`;
      io.error(`Warning: ${keys} ${seconds} You can provide \`--range\` flag to avoid the delay.\n`);
      await new Promise((resolve) => setTimeout(resolve, warningMs));
    }
    printDel(await client().kv.delete(key, { ...options, ...timed }), printer);
  },
};

/** Also of transactions. */
export function readDel(args: readonly string[], flags: FlagValues): { key: Uint8Array } & DeleteOptions {
  const [key, rangeEnd] = args;
  if (key === undefined || args.length > 2) {
    throw badArguments("del command needs one argument as key and an optional argument as range_end");
  }
  const [prefix, fromKey] = [flags.bool("prefix"), flags.bool("from-key")];
  checkRangeFlags(prefix, fromKey, rangeEnd);
  const end = rangeEnd === undefined ? undefined : argumentBytes(rangeEnd);
  return { key: argumentBytes(key), prefix, fromKey, rangeEnd: end, prevKv: flags.bool("prev-kv") };
}

export function printDel(answer: Answer<DeleteRangeResponse>, printer: Printer): void {
  const { header, deleted, prevKvs } = answer;
  printer.message(kv.deleteRange.response, answer, {
    simple: () => Buffer.concat([Buffer.from(`${deleted}\n`), ...prevKvs.map((pair) => printer.pair(pair))]),
    fields: () =>
      [
        printer.header(header),
        `"Deleted" : ${deleted}\n`,
        ...prevKvs.map((pair) => printer.pairFields("Prev", pair)),
      ].join(""),
  });
}
