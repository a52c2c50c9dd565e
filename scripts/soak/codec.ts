/**
 * Go's protobuf against our codecs: what we accept from a client and would log, a Go member must read, and read as the
 * same request.
 *
 *   node build/scripts/soak/codec.js [--count 100000] [--seed 1]
 *
 * Needs Go: builds tests/interop/go/codecheck.
 */

import { execFileSync, spawn } from "node:child_process";
import { join } from "node:path";
import {
  encodeInternalRequest,
  InternalField,
  InternalRequestSpan,
  isDecodeError,
  messageDescriptors,
  scanInternalRequest,
  sizeInternalRequest,
  toJson,
  wasCanonical,
} from "@etcd-ts/api";
import { codecOf, encodeAlone, mutate, randomMessage, SeededRandom } from "./random-messages.js";

/** One frame for Go, and what is expected of its answer. */
interface Probe {
  readonly frame: Uint8Array;
  /** Undefined when we refuse the frame. */
  readonly json: string | undefined;
  /** What we refuse for reasons of our own: beyond 2^53, or nested too deep. */
  readonly stricter: boolean;
  readonly origin: string;
}

const internal = codecOf("etcdserverpb.InternalRaftRequest");

export async function run(args: readonly string[]): Promise<{ passed: number; failed: number }> {
  const count = numberArgument(args, "--count", 100_000);
  const seed = numberArgument(args, "--seed", 1);
  const root = process.cwd();
  const program = join(root, "tests/interop/bin/codecheck");
  execFileSync("go", ["build", "-o", program, "./codecheck"], {
    cwd: join(root, "tests/interop/go"),
    stdio: "inherit",
  });

  const random = new SeededRandom(seed);
  let passed = 0;
  let failed = 0;
  let logged = 0;
  for (let done = 0; done < count; ) {
    const probes: Probe[] = [];
    for (; done < count && probes.length < batchSize; done++) probes.push(...makeProbes(random));
    const answers = await askGo(
      program,
      probes.map((probe) => probe.frame),
    );
    probes.forEach((probe, i) => {
      const problem = judge(probe, answers[i]);
      if (problem === undefined) passed++;
      else {
        failed++;
        if (failed <= 20) console.log(`${probe.origin}: ${problem}: ${Buffer.from(probe.frame).toString("hex")}`);
      }
      if (probe.origin === "logged") logged++;
    });
  }
  console.log(`codec: ${count} mutated requests, seed ${seed}: ${logged} logged, ${passed} passed, ${failed} failed`);
  return { passed, failed };
}

const batchSize = 5000;

const requests = Object.entries(InternalField);

/** A mutated request the way the server treats it, and the same number of mutated entries, seen by both sides alike. */
function makeProbes(random: SeededRandom): Probe[] {
  const [name, field] = random.pick(requests);
  const type = messageDescriptors[internal.typeName]?.find((f) => f.property === name)?.type ?? "";
  const codec = codecOf(type);
  const request = mutate(random, encodeAlone(codec, randomMessage(random, type)));
  const entry = mutate(random, encodeAlone(internal, randomMessage(random, internal.typeName)));
  const logged = logRequest(field, codec, request);
  return [probe(entry, "entry"), ...(logged === undefined ? [] : [probe(logged, "logged")])];
}

/** The entry the server would propose, or undefined when it refuses the request. */
function logRequest(
  field: InternalField,
  codec: ReturnType<typeof codecOf>,
  request: Uint8Array,
): Uint8Array | undefined {
  let body = request;
  try {
    const message = codec.decode(request);
    if (!wasCanonical()) body = encodeAlone(codec, message);
  } catch (error) {
    if (isDecodeError(error)) return undefined;
    throw error;
  }
  const header = { id: 0x1234_5678_9abc_def0n, username: "root", authRevision: 7 };
  const entry = new Uint8Array(sizeInternalRequest(field, body.length, header));
  const bodyAt = encodeInternalRequest(field, body.length, header, entry, 0);
  entry.set(body, bodyAt);

  const span = new InternalRequestSpan();
  scanInternalRequest(entry, 0, entry.length, span);
  const same =
    span.field === field && span.start === bodyAt && span.end === bodyAt + body.length && span.id === header.id;
  if (!same || !wasCanonical()) throw new Error(`entry read back differently: ${Buffer.from(entry).toString("hex")}`);
  return entry;
}

function probe(frame: Uint8Array, origin: string): Probe {
  try {
    return { frame, origin, stricter: false, json: toJson(internal, internal.decode(frame)) };
  } catch (error) {
    if (!isDecodeError(error)) throw error;
    return { frame, origin, stricter: error.code === "outOfRange" || error.code === "tooDeep", json: undefined };
  }
}

/** What is wrong with Go's answer; undefined when nothing is. */
function judge({ json, stricter, origin }: Probe, answer: Answer | undefined): string | undefined {
  if (answer === undefined) return "Go did not answer";
  if (json === undefined) {
    if (origin === "logged") return "we cannot read what we would log";
    return answer.ok && !stricter ? "Go accepts what we refuse" : undefined;
  }
  if (!answer.ok) return `Go refuses what we accept: ${Buffer.from(answer.bytes).toString()}`;
  const theirs = toJson(internal, internal.decode(answer.bytes));
  return theirs === json ? undefined : `Go reads ${theirs}, we read ${json}`;
}

interface Answer {
  readonly ok: boolean;
  readonly bytes: Uint8Array;
}

async function askGo(program: string, frames: readonly Uint8Array[]): Promise<Answer[]> {
  const child = spawn(program, { stdio: ["pipe", "pipe", "inherit"] });
  const exited = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const input = frames.flatMap((frame) => {
    const head = Buffer.alloc(4);
    head.writeUInt32LE(frame.length);
    return [head, frame];
  });
  child.stdin.end(Buffer.concat(input));
  const chunks: Buffer[] = [];
  for await (const chunk of child.stdout) chunks.push(chunk as Buffer);
  const code = await exited;
  if (code !== 0) throw new Error(`codecheck ended with ${code}`);
  return parseAnswers(Buffer.concat(chunks));
}

function parseAnswers(output: Buffer): Answer[] {
  const answers: Answer[] = [];
  for (let at = 0; at < output.length; ) {
    const ok = output[at] === 1;
    const end = at + 5 + output.readUInt32LE(at + 1);
    answers.push({ ok, bytes: new Uint8Array(output.subarray(at + 5, end)) });
    at = end;
  }
  return answers;
}

function numberArgument(args: readonly string[], name: string, fallback: number): number {
  const at = args.indexOf(name);
  return at < 0 ? fallback : Number(args[at + 1]);
}

if (process.argv[1]?.endsWith("soak/codec.js")) {
  const { failed } = await run(process.argv.slice(2));
  process.exitCode = failed === 0 ? 0 : 1;
}
