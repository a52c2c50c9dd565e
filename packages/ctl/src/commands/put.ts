import { kv } from "@etcd-ts/api";
import type { PutResponse } from "@etcd-ts/api/etcdserverpb";
import type { Answer, PutOptions } from "@etcd-ts/client";
import { argumentBytes, leaseId } from "../arguments.js";
import { type Command, flag, stringFlag } from "../command.js";
import { badArguments } from "../exit.js";
import type { FlagValues } from "../flags.js";
import type { Printer } from "../printer.js";

export const putCommand: Command = {
  name: "put",
  usage: "[options] <key> <value> (<value> can also be given from stdin)",
  short: "Puts the given key into the store",
  group: "Key-value commands",
  flags: [
    stringFlag("lease", "lease ID (in hexadecimal) to attach to the key", "0"),
    flag("prev-kv", "return the previous key-value pair before modification"),
    flag("ignore-value", "updates the key using its current value"),
    flag("ignore-lease", "updates the key using its current lease"),
  ],
  run: async ({ args, flags, io, client, printer, timed }) => {
    const needsValue = args.length === 1 && !flags.bool("ignore-value");
    const input = needsValue ? await io.readInput() : undefined;
    const { key, value, ...options } = readPut(args, flags, input);
    printPut(await client().kv.put(key, value, { ...options, ...timed }), printer);
  },
};

interface PutArguments extends PutOptions {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** Also of transactions, where there is no `input` for the value. */
export function readPut(args: readonly string[], flags: FlagValues, input?: Uint8Array): PutArguments {
  const [key, value] = args;
  const ignoreValue = flags.bool("ignore-value");
  if (key === undefined) throw badArguments("put command needs 1 argument and input from stdin or 2 arguments");
  if (ignoreValue && args.length > 1) {
    throw badArguments("put command needs only 1 argument when 'ignore-value' is set");
  }
  if (!ignoreValue && value === undefined && (input === undefined || input.length === 0)) {
    throw badArguments("put command needs 1 argument and input from stdin or 2 arguments");
  }
  return {
    key: argumentBytes(key),
    value: input ?? argumentBytes(ignoreValue ? "" : (value ?? "")),
    lease: leaseId(flags.string("lease")),
    prevKv: flags.bool("prev-kv"),
    ignoreValue,
    ignoreLease: flags.bool("ignore-lease"),
  };
}

export function printPut(answer: Answer<PutResponse>, printer: Printer): void {
  const { header, prevKv } = answer;
  printer.message(kv.put.response, answer, {
    simple: () => Buffer.concat([Buffer.from("OK\n"), prevKv === undefined ? Buffer.of() : printer.pair(prevKv)]),
    fields: () => printer.header(header) + (prevKv === undefined ? "" : printer.pairFields("Prev", prevKv)),
  });
}
