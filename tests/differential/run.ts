/**
 * The differential test: random programs against our server and Go etcd.
 *
 *   node build/tests/differential/run.js [--programs N] [--first INDEX] [--seed N] [--only INDEX] [--ours CMD] [--peer CMD] [--auth]
 *
 * Program I of a seed is the same whatever N is; a failure prints it shrunk, with the command that repeats it. A run
 * that was stopped goes on with `--first`, the number of programs that its last line of progress says.
 */

import { join } from "node:path";
import { parseArgs } from "node:util";
import { bin, ourServer, printDifference, type Totals } from "../interop/support/comparison.js";
import { splitCommand } from "../interop/support/member.js";
import { type Difference, ServerPair } from "./compare.js";
import { knownDifferences } from "./known-differences.js";
import { type Program, randomProgram } from "./program.js";
import { Random } from "./random.js";
import { Schema } from "./schema.js";
import { shrink } from "./shrink.js";

/** Programs that share a pair of servers, one after the other. */
const batchSize = 500;
const shrinkAttemptsMax = 80;
const failuresMax = 10;
const seedStride = 1_000_003;

/** Runs the programs; the arguments are those of the command line. Without `--programs`, the full count. */
export async function run(args: string[]): Promise<Totals> {
  const { values } = parseArgs({
    args,
    options: {
      programs: { type: "string", default: "20000" },
      seed: { type: "string", default: "1" },
      first: { type: "string", default: "0" },
      only: { type: "string" },
      ours: { type: "string", default: ourServer },
      peer: { type: "string", default: join(bin, "etcd") },
      auth: { type: "boolean", default: false },
    },
  });
  const commands = { ours: splitCommand(values.ours), peer: splitCommand(values.peer) };
  const session = new Session(await Schema.load(), commands);
  const seed = Number(values.seed);
  const first = Number(values.only ?? values.first);
  const end = values.only === undefined ? Number(values.programs) : first + 1;
  try {
    for (let index = first; index < end && session.failed < failuresMax; index++) {
      const program = randomProgram(new Random(seed * seedStride + index), { auth: values.auth });
      await session.run(program, `--seed ${seed} --only ${index}${values.auth ? " --auth" : ""}`);
      if ((index + 1) % batchSize === 0) console.log(`${index + 1} programs of seed ${seed}, ${session.failed} failed`);
    }
    if (values.ours !== values.peer) {
      await session.runExamples();
    }
  } finally {
    await session.close();
  }
  return { passed: session.passed, failed: session.failed };
}

class Session {
  readonly #schema: Schema;
  readonly #commands: { ours: readonly string[]; peer: readonly string[] };
  #pair: ServerPair | undefined;
  #runs = 0;
  passed = 0;
  failed = 0;

  constructor(schema: Schema, commands: { ours: readonly string[]; peer: readonly string[] }) {
    this.#schema = schema;
    this.#commands = commands;
  }

  async run(program: Program, repeat: string): Promise<void> {
    if (this.#runs++ % batchSize === 0) {
      await this.close();
    }
    this.#pair ??= await this.#start();
    const difference = await this.#pair.run(program);
    if (difference === undefined) {
      this.passed++;
    } else {
      this.failed++;
      await this.close();
      await this.#report(program, difference, repeat);
    }
  }

  /** Every known difference must still be one. */
  async runExamples(): Promise<void> {
    for (const { name, example } of knownDifferences) {
      const pair = await this.#start();
      try {
        const difference = await pair.run(example);
        const isShown = difference === undefined && pair.met.has(name);
        this.passed += isShown ? 1 : 0;
        this.failed += isShown ? 0 : 1;
        if (!isShown) {
          console.log(`\n✗ the known difference "${name}" is none, or another one shows first`);
        }
      } finally {
        await pair.close();
      }
    }
  }

  async close(): Promise<void> {
    await this.#pair?.close();
    this.#pair = undefined;
  }

  async #report(program: Program, found: Difference, repeat: string): Promise<void> {
    let last = found;
    let small = program;
    const alone = await this.#runAlone(program);
    if (alone !== undefined) {
      last = alone;
      const fails = async (candidate: Program): Promise<boolean> => {
        const difference = await this.#runAlone(candidate);
        last = difference ?? last;
        return difference !== undefined;
      };
      small = await shrink(program, { fails, attemptsMax: shrinkAttemptsMax });
      last = (await this.#runAlone(small)) ?? last;
    }
    const where = last.operation === undefined ? "what the watchers saw" : show(last.operation);
    printDifference(`${where}`, JSON.stringify(last.ours, undefined, 1), JSON.stringify(last.peer, undefined, 1));
    console.log(alone === undefined ? "  fails only after the programs before it:" : "  the program, shrunk:");
    for (const operation of small.operations) {
      console.log(`    ${show(operation)}`);
    }
    console.log(`  repeat: npm run soak -- differential ${repeat}`);
  }

  /** Runs one program on servers of its own. */
  async #runAlone(program: Program): Promise<Difference | undefined> {
    const pair = await this.#start();
    try {
      return await pair.run(program);
    } finally {
      await pair.close();
    }
  }

  #start(): Promise<ServerPair> {
    return ServerPair.start(this.#schema, this.#commands);
  }
}

/** An operation on one line, bytes as text. */
function show(operation: Program["operations"][number]): string {
  const text = JSON.stringify(operation, (_, value: unknown) => {
    const buffer = value as { type?: string; data?: number[] } | null;
    return buffer?.type === "Buffer" && Array.isArray(buffer.data)
      ? Buffer.from(buffer.data).toString("latin1")
      : value;
  });
  return text.length > 600 ? `${text.slice(0, 600)}… (${text.length} characters)` : text;
}

if (import.meta.filename === process.argv[1]) {
  const { passed, failed } = await run(process.argv.slice(2));
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}
