/**
 * Our gRPC server beside grpc-js and a bare `node:http2` one, under one load of pre-encoded frames:
 * `node build/bench/grpc.js`. Each server runs in its own process; calls are unary.
 *
 *   --connections N   connections (10)
 *   --streams N       calls in flight on each (10)
 *   --runs N          alternating runs, whose medians are shown (5)
 *   --seconds N       length of a run (2)
 *   --answer N        bytes of an answer (320)
 *   --only NAME       ours, grpc-js, node-http2 or null; may be repeated
 */
import { type ChildProcess, fork } from "node:child_process";
import { connect, type Socket } from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

interface Run {
  readonly callsPerSecond: number;
  readonly cpuMicrosecondsPerCall: number;
}

const { values } = parseArgs({
  options: {
    connections: { type: "string", default: "10" },
    streams: { type: "string", default: "10" },
    runs: { type: "string", default: "5" },
    seconds: { type: "string", default: "2" },
    answer: { type: "string", default: "320" },
    only: { type: "string", multiple: true, default: [] },
  },
});

const streamIdMax = 0x7fff_fff0;

function literal(name: string, value: string): number[] {
  return [0, name.length, ...Buffer.from(name), value.length, ...Buffer.from(value)];
}

/** A whole unary call; the stream id goes to 5 and to `dataIdAt`. */
function encodeCall(): { bytes: Buffer; dataIdAt: number } {
  const block = [
    0x83,
    0x86,
    ...literal(":path", "/bench.Bench/Get"),
    ...literal(":authority", "127.0.0.1"),
    ...literal("content-type", "application/grpc"),
    ...literal("user-agent", "bench/1"),
    ...literal("te", "trailers"),
  ];
  const message = [0, 0, 0, 0, 20, ...Buffer.alloc(20, 0x62)];
  const head = [0, 0, block.length, 1, 4, 0, 0, 0, 0];
  const data = [0, 0, message.length, 0, 1, 0, 0, 0, 0];
  return { bytes: Buffer.from([...head, ...block, ...data, ...message]), dataIdAt: head.length + block.length + 5 };
}

const call = encodeCall();
const preface = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  // SETTINGS_INITIAL_WINDOW_SIZE of 2^31-1, and the connection's window widened to the same.
  Buffer.from("00000604000000000000047fffffff", "hex"),
  Buffer.from("00000408000000000000000000", "hex"),
]);
preface.writeUInt32BE(0x7fff_0000, preface.length - 4);

/** One connection that keeps a number of calls open. */
class LoadConnection {
  readonly #socket: Socket;
  #rest: Buffer = Buffer.alloc(0);
  #nextId = 1;
  done = 0;

  constructor(port: number, streams: number) {
    this.#socket = connect(port, "127.0.0.1");
    this.#socket.setNoDelay(true);
    this.#socket.on("data", (chunk) => this.#onData(chunk));
    this.#socket.on("error", () => undefined);
    this.#socket.write(preface);
    this.#start(streams);
  }

  close(): void {
    this.#socket.destroy();
  }

  #start(count: number): void {
    const { bytes, dataIdAt } = call;
    const out = Buffer.allocUnsafe(bytes.length * count);
    for (let i = 0; i < count; i++) {
      const at = i * bytes.length;
      bytes.copy(out, at);
      out.writeUInt32BE(this.#nextId, at + 5);
      out.writeUInt32BE(this.#nextId, at + dataIdAt);
      this.#nextId += 2;
    }
    if (this.#nextId > streamIdMax) throw new Error("out of stream ids");
    this.#socket.write(out);
  }

  #onData(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    let ended = 0;
    let consumed = 0;
    while (bytes.length - at >= 9) {
      const length = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
      if (bytes.length - at < length + 9) break;
      const type = bytes[at + 3] ?? 0;
      const flags = bytes[at + 4] ?? 0;
      if (type === 0) consumed += length;
      if (type === 1 && (flags & 1) === 1) ended++;
      else if (type === 3 || type === 7) throw new Error(`the server sent a frame of type ${type}`);
      else if (type === 4 && flags === 0) this.#socket.write(Buffer.from("000000040100000000", "hex"));
      else if (type === 6 && flags === 0) this.#pong(bytes.subarray(at + 9, at + 17));
      at += length + 9;
    }
    this.#rest = bytes.subarray(at);
    this.done += ended;
    if (consumed > 0) this.#giveBack(consumed);
    if (ended > 0) this.#start(ended);
  }

  #pong(data: Buffer): void {
    this.#socket.write(Buffer.concat([Buffer.from("000008060100000000", "hex"), data]));
  }

  #unreturned = 0;

  #giveBack(bytes: number): void {
    this.#unreturned += bytes;
    if (this.#unreturned < 0x1000_0000) return;
    const update = Buffer.from("00000408000000000000000000", "hex");
    update.writeUInt32BE(this.#unreturned, 9);
    this.#unreturned = 0;
    this.#socket.write(update);
  }
}

function nextMessage<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    child.once("message", (message) => resolve(message as T));
    child.once("exit", () => reject(new Error("the server ended")));
  });
}

async function cpuOf(child: ChildProcess): Promise<number> {
  const answer = nextMessage<{ cpuMicroseconds: number }>(child);
  child.send("cpu");
  return (await answer).cpuMicroseconds;
}

async function run(kind: string): Promise<Run> {
  const child = fork(join(dirname(fileURLToPath(import.meta.url)), "grpc", "serve.js"), [kind, values.answer]);
  const { port } = await nextMessage<{ port: number }>(child);
  const connections = Array.from(
    { length: Number(values.connections) },
    () => new LoadConnection(port, Number(values.streams)),
  );
  const total = (): number => connections.reduce((sum, { done }) => sum + done, 0);
  await new Promise((resolve) => setTimeout(resolve, 500));
  const cpuBefore = await cpuOf(child);
  const before = total();
  const startedMs = performance.now();
  await new Promise((resolve) => setTimeout(resolve, Number(values.seconds) * 1000));
  const calls = total() - before;
  const elapsedMs = performance.now() - startedMs;
  const cpu = (await cpuOf(child)) - cpuBefore;
  for (const connection of connections) connection.close();
  child.disconnect();
  return { callsPerSecond: (calls / elapsedMs) * 1000, cpuMicrosecondsPerCall: cpu / calls };
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

const kinds = values.only.length > 0 ? values.only : ["ours", "node-http2", "grpc-js", "null"];
const results = new Map<string, Run[]>(kinds.map((kind) => [kind, []]));
for (let i = 0; i < Number(values.runs); i++) {
  for (const kind of kinds) results.get(kind)?.push(await run(kind));
}
const ours = results.get("ours");
console.log(
  `${values.connections} connections x ${values.streams} streams, answers of ${values.answer} bytes, ${values.runs} runs of ${values.seconds} s\n`,
);
console.log("server         calls/s   CPU us/call   ours is faster   ours is cheaper");
for (const [kind, runs] of results) {
  const rate = median(runs.map((one) => one.callsPerSecond));
  const cpu = median(runs.map((one) => one.cpuMicrosecondsPerCall));
  const ratios = ours?.map((one, i) => ({
    rate: one.callsPerSecond / (runs[i]?.callsPerSecond ?? Number.NaN),
    cpu: (runs[i]?.cpuMicrosecondsPerCall ?? Number.NaN) / one.cpuMicrosecondsPerCall,
  }));
  const columns = [
    kind.padEnd(12),
    rate.toFixed(0).padStart(10),
    cpu.toFixed(2).padStart(13),
    ratios === undefined ? "" : `${median(ratios.map((one) => one.rate)).toFixed(2)}x`.padStart(16),
    ratios === undefined ? "" : `${median(ratios.map((one) => one.cpu)).toFixed(2)}x`.padStart(17),
  ];
  console.log(columns.join(" "));
}
