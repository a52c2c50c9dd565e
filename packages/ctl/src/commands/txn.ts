/** A transaction read from standard input: conditions, then two lists of requests, each ended by an empty line. */

import { kv } from "@etcd-ts/api";
import type { ResponseOp, TxnResponse } from "@etcd-ts/api/etcdserverpb";
import { createResponseHeader } from "@etcd-ts/api/etcdserverpb";
import { type Answer, type Compare, type CompareOperator, compare, type Op, op } from "@etcd-ts/client";
import { type Command, flag, type Io } from "../command.js";
import { badArguments, CtlError, ExitCode } from "../exit.js";
import { FlagError, parseFlags } from "../flags.js";
import { parseInt64 } from "../go-text.js";
import { usageText } from "../help.js";
import { Printer } from "../printer.js";
import { splitWords } from "../words.js";
import { delCommand, printDel, readDel } from "./del.js";
import { getCommand, printGet, readGet } from "./get.js";
import { printPut, putCommand, readPut } from "./put.js";

export const txnCommand: Command = {
  name: "txn",
  usage: "[options]",
  short: "Txn processes all the requests in one transaction",
  group: "Key-value commands",
  flags: [flag("interactive", "Input transaction in interactive mode", { short: "i" })],
  run: async ({ args, flags, io, client, printer }) => {
    if (args.length > 0) throw badArguments("txn command does not accept argument");
    const lines = io.lines();
    const prompt = (text: string): void => {
      if (flags.bool("interactive")) io.out(`${text}\n`);
    };
    prompt("compares:");
    const conditions = (await readBlock(lines)).map(readCompare);
    prompt("success requests (get, put, del):");
    const success = (await readBlock(lines)).map((line) => readOp(line, io));
    prompt("failure requests (get, put, del):");
    const failure = (await readBlock(lines)).map((line) => readOp(line, io));
    printTxn(await client().kv.txn({ compare: conditions, success, failure }), printer);
  },
};

function invalid(message: string): CtlError {
  return new CtlError(ExitCode.invalidInput, message);
}

/** The lines up to an empty one. */
async function readBlock(lines: AsyncIterableIterator<string>): Promise<string[]> {
  const block: string[] = [];
  for (;;) {
    const { done, value } = await lines.next();
    if (done === true) throw invalid("EOF");
    if (value.trim() === "") return block;
    block.push(value.trim());
  }
}

const operators: ReadonlySet<string> = new Set(["=", "!=", ">", "<"]);

/** `target("key") op "value"`. */
function readCompare(line: string): Compare {
  const [, target, key, operator, value] =
    /^(\w+)\("((?:[^"\\]|\\.)*)"\)\s*(\S+)\s*"((?:[^"\\]|\\.)*)"$/.exec(line) ?? [];
  if (target === undefined || key === undefined || operator === undefined || value === undefined) {
    throw invalid(malformed(line));
  }
  if (!operators.has(operator)) throw invalid(`malformed comparison: ${line} (unknown operator ${operator})`);
  const [name, result] = [splitWords(`"${key}"`)[0] ?? "", operator as CompareOperator];
  switch (target) {
    case "ver":
    case "version":
      return compare.version(name, result, number(line, value));
    case "c":
    case "create":
      return compare.createRevision(name, result, number(line, value));
    case "m":
    case "mod":
      return compare.modRevision(name, result, number(line, value));
    case "val":
    case "value":
      return compare.value(name, result, splitWords(`"${value}"`)[0] ?? "");
    case "lease":
      return compare.lease(name, result, integer(line, value, 16));
    default:
      throw invalid(`malformed comparison: ${line} (unknown target ${target})`);
  }
}

function malformed(line: string): string {
  const target = /^(\w+)\(/.exec(line)?.[1];
  return `malformed comparison: ${line}${target === undefined ? "" : `; got ${target}("")  ""`}`;
}

function number(line: string, text: string): number {
  return Number(integer(line, text, 10));
}

function integer(line: string, text: string, base: 10 | 16): bigint {
  try {
    return parseInt64(text, base);
  } catch {
    throw invalid(`invalid txn compare request: ${line}`);
  }
}

const commands: ReadonlyMap<string, Command> = new Map(
  [getCommand, putCommand, delCommand].map((command) => [command.name, command]),
);

function readOp(line: string, io: Io): Op {
  const [name, ...words] = splitWords(line);
  const command = commands.get(name ?? "");
  if (command === undefined || words.length === 0) {
    const what = command === undefined ? "invalid txn request" : "invalid txn compare request";
    throw invalid(`${what}: ${line}`);
  }
  const { values, args } = parseRequest(command, words, line, io);
  if (command === getCommand) {
    const { key, ...options } = readGet(args, values);
    return op.get(key, options);
  }
  if (command === delCommand) {
    const { key, ...options } = readDel(args, values);
    return op.delete(key, options);
  }
  const { key, value, ...options } = readPut(args, values);
  return op.put(key, value, options);
}

function parseRequest(command: Command, words: readonly string[], line: string, io: Io) {
  try {
    return parseFlags(command.flags ?? [], words);
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    io.out(usageText(command, [`${" "}${command.name}`]));
    throw invalid(`invalid txn request: ${line}`);
  }
}

function printTxn(answer: Answer<TxnResponse>, printer: Printer): void {
  const { header, succeeded, responses } = answer;
  printer.message(kv.txn.response, answer, {
    simple: () => {
      const parts = responses.map((response) => Buffer.from(rendered(response, printer)));
      const blank = Buffer.from("\n");
      return Buffer.concat([
        Buffer.from(`${succeeded ? "SUCCESS" : "FAILURE"}\n`),
        ...parts.flatMap((part) => [blank, part]),
      ]);
    },
    fields: () =>
      [
        `${printer.header(header)}"Succeeded" : ${succeeded}\n`,
        ...responses.map((response) => Buffer.from(rendered(response, printer)).toString()),
      ].join(""),
  });
}

/** What the request alone would have printed. */
function rendered({ response }: ResponseOp, { format, hex }: Printer): Uint8Array {
  const parts: (string | Uint8Array)[] = [];
  const printer = new Printer(format, hex, (text) => parts.push(text));
  switch (response?.kind) {
    case "responseRange":
      printGet(withHeader(response.value), printer);
      break;
    case "responsePut":
      printPut(withHeader(response.value), printer);
      break;
    case "responseDeleteRange":
      printDel(withHeader(response.value), printer);
      break;
    case "responseTxn":
      printTxn(withHeader(response.value), printer);
      break;
    case undefined:
      break;
  }
  return Buffer.concat(parts.map((part) => Buffer.from(part)));
}

function withHeader<T extends { readonly header: TxnResponse["header"] }>(response: T): Answer<T> {
  return { ...response, header: response.header ?? createResponseHeader() };
}
