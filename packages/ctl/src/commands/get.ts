import { kv } from "@etcd-ts/api";
import { createRangeResponse, type RangeResponse } from "@etcd-ts/api/etcdserverpb";
import type { Answer, GetOptions, SortTarget } from "@etcd-ts/client";
import { argumentBytes, checkRangeFlags } from "../arguments.js";
import { type Command, flag, intFlag, stringFlag } from "../command.js";
import { badArguments, CtlError, ExitCode } from "../exit.js";
import type { FlagValues } from "../flags.js";
import type { Printer } from "../printer.js";

export const getCommand: Command = {
  name: "get",
  usage: "[options] <key> [range_end]",
  short: "Gets the key or a range of keys",
  group: "Key-value commands",
  flags: [
    stringFlag("consistency", "Linearizable(l) or Serializable(s)", "l"),
    stringFlag("order", "Order of results; ASCEND or DESCEND (ASCEND by default)"),
    stringFlag("sort-by", "Sort target; CREATE, KEY, MODIFY, VALUE, or VERSION"),
    intFlag("limit", "Maximum number of results"),
    flag("prefix", "Get keys with matching prefix"),
    flag("from-key", "Get keys that are greater than or equal to the given key using byte compare"),
    intFlag("rev", "Specify the kv revision"),
    flag("keys-only", "Get only the keys"),
    flag("count-only", "Get only the count"),
    flag("print-value-only", 'Only write values when using the "simple" output format'),
    intFlag("min-create-rev", "Minimum create revision"),
    intFlag("max-create-rev", "Maximum create revision"),
    intFlag("min-mod-rev", "Minimum modification revision"),
    intFlag("max-mod-rev", "Maximum modification revision"),
    flag("stream", "Use the RangeStream RPC"),
  ],
  run: async ({ args, flags, client, printer, timed }) => {
    const { key, ...options } = readGet(args, flags);
    const valueOnly = flags.bool("print-value-only");
    if (options.countOnly && printer.format !== "fields") {
      throw badArguments("--count-only is only for `--write-out=fields`");
    }
    if (valueOnly && printer.format !== "simple") {
      throw badArguments("print-value-only is only for `--write-out=simple`");
    }
    if (!flags.bool("stream")) {
      return printGet(await client().kv.get(key, { ...options, ...timed }), printer, valueOnly);
    }
    const chunks: RangeResponse[] = [];
    for await (const chunk of client().kv.stream(key, { ...options, ...timed })) chunks.push(chunk);
    const whole = { ...createRangeResponse(), ...chunks.at(-1), kvs: chunks.flatMap(({ kvs }) => kvs) };
    printGet(whole, printer, valueOnly);
  },
};

const sortTargets: Readonly<Record<string, SortTarget>> = {
  CREATE: "CREATE",
  KEY: "KEY",
  MODIFY: "MOD",
  VALUE: "VALUE",
  VERSION: "VERSION",
};

/** Also of transactions. */
export function readGet(args: readonly string[], flags: FlagValues): { key: Uint8Array } & GetOptions {
  const [key, rangeEnd] = args;
  const [prefix, fromKey] = [flags.bool("prefix"), flags.bool("from-key")];
  const [keysOnly, countOnly] = [flags.bool("keys-only"), flags.bool("count-only")];
  if (key === undefined)
    throw badArguments("get command needs one argument as key and an optional argument as range_end");
  if (prefix && fromKey) checkRangeFlags(prefix, fromKey, rangeEnd);
  if (keysOnly && countOnly)
    throw badArguments("`--keys-only` and `--count-only` cannot be set at the same time, choose one");
  const consistency = flags.string("consistency");
  if (consistency !== "l" && consistency !== "s")
    throw badFeature(`unknown consistency flag ${JSON.stringify(consistency)}`);
  checkRangeFlags(prefix, fromKey, rangeEnd);
  const options = {
    key: argumentBytes(key),
    serializable: consistency === "s",
    limit: flags.number("limit"),
    revision: Math.max(0, flags.number("rev")),
    sort: readSort(flags),
    keysOnly,
    countOnly,
    prefix,
    fromKey,
    rangeEnd: rangeEnd === undefined ? undefined : argumentBytes(rangeEnd),
    ...readRevisions(flags),
  };
  return options;
}

function readSort(flags: FlagValues): GetOptions["sort"] {
  const [order, target] = [flags.string("order").toUpperCase(), flags.string("sort-by").toUpperCase()];
  if (order !== "" && order !== "ASCEND" && order !== "DESCEND")
    throw badFeature(`bad sort order ${flags.string("order")}`);
  const by = target === "" ? "KEY" : sortTargets[target];
  if (by === undefined) throw badFeature(`bad sort target ${flags.string("sort-by")}`);
  if (order === "" && target === "") return undefined;
  return { by, order: order === "" ? "NONE" : order };
}

function readRevisions(flags: FlagValues) {
  const bounds = {
    minCreateRevision: flags.number("min-create-rev"),
    maxCreateRevision: flags.number("max-create-rev"),
    minModRevision: flags.number("min-mod-rev"),
    maxModRevision: flags.number("max-mod-rev"),
  };
  const { minCreateRevision, maxCreateRevision, minModRevision, maxModRevision } = bounds;
  if (maxCreateRevision > 0 && minCreateRevision > maxCreateRevision) {
    throw badFeature(`getMinCreateRev(=${minCreateRevision}) > getMaxCreateRev(=${maxCreateRevision})`);
  }
  if (maxModRevision > 0 && minModRevision > maxModRevision) {
    throw badFeature(`getMinModRev(=${minModRevision}) > getMaxModRev(=${maxModRevision})`);
  }
  return bounds;
}

function badFeature(message: string): CtlError {
  return new CtlError(ExitCode.badFeature, message);
}

export function printGet(answer: Answer<RangeResponse> | RangeResponse, printer: Printer, valueOnly = false): void {
  const { header, kvs, more, count } = answer;
  printer.message(kv.range.response, answer, {
    simple: () => Buffer.concat(kvs.map((pair) => printer.pair(pair, valueOnly))),
    fields: () =>
      [
        header === undefined ? "" : printer.header(header),
        ...kvs.map((pair) => printer.pairFields("", pair)),
        `"More" : ${more}\n"Count" : ${count}\n`,
      ].join(""),
  });
}
