/**
 * The generated codecs beside protobufjs, in one run: a put of a 16-byte key and a 256-byte value, and the answer to a
 * range of one key. Prints nanoseconds of CPU time for one message and the ratio.
 *
 *   node build/bench/codec.js [--rounds N]
 */

import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import {
  createRangeResponse,
  decodePutRequest,
  decodeRangeResponse,
  encodePutRequest,
  encodeRangeResponse,
  PutRequestSpans,
  scanPutRequest,
  sizePutRequest,
  sizeRangeResponse,
} from "@etcd-ts/api/etcdserverpb";
import protobuf from "protobufjs";

/**
 * One thing to measure: `repeat` handles `count` messages and returns something that depends on all of them. Each has
 * its own loop, so that none pays for calls the compiler cannot see through.
 */
interface Contender {
  readonly name: string;
  readonly repeat: (count: number) => number;
}

interface Comparison {
  readonly work: string;
  readonly theirs: Contender;
  readonly ours: readonly Contender[];
}

const messagesPerRound = 200_000;

export function run(args: readonly string[]): void {
  const rounds = Number(args[args.indexOf("--rounds") + 1] ?? 0) || 7;
  for (const { work, theirs, ours } of comparisons()) {
    // Rounds alternate, so that a slow moment of the machine meets all contenders.
    const all = [theirs, ...ours];
    const times = all.map((): number[] => []);
    for (let round = -2; round < rounds; round++) {
      all.forEach((contender, i) => {
        const nanoseconds = measure(contender.repeat);
        if (round >= 0) times[i]?.push(nanoseconds);
      });
    }
    const [base = 0, ...medians] = times.map(median);
    console.log(`${work}: ${theirs.name} ${base.toFixed(0)} ns`);
    ours.forEach(({ name }, i) => {
      const time = medians[i] ?? 0;
      console.log(`  ${name} ${time.toFixed(0)} ns, ${(base / time).toFixed(1)}×`);
    });
  }
}

function comparisons(): readonly Comparison[] {
  const root = new protobuf.Root();
  const library = dirname(createRequire(import.meta.url).resolve("protobufjs/package.json"));
  root.resolvePath = (_origin, target) => join(target.startsWith("google/") ? library : "proto", target);
  root.loadSync("etcdserverpb/rpc.proto");
  const putType = root.lookupType("etcdserverpb.PutRequest");
  const rangeType = root.lookupType("etcdserverpb.RangeResponse");

  const key = new Uint8Array(16).fill(107);
  const value = new Uint8Array(256).fill(118);
  const put = { key, value, lease: 0n, prevKv: false };
  const kv = { key, value, createRevision: 123_456, modRevision: 234_567, version: 3, lease: 0n };
  const header = {
    clusterId: 14_841_639_068_965_178_418n,
    memberId: 10_276_657_743_932_975_437n,
    revision: 234_568,
    raftTerm: 4,
  };
  const answer = createRangeResponse({ header, kvs: [kv], count: 1 });
  const putBytes = bytesOf(sizePutRequest(put), (target) => encodePutRequest(put, target, 0));
  const answerBytes = bytesOf(sizeRangeResponse(answer), (target) => encodeRangeResponse(answer, target, 0));
  const theirPut = putType.decode(putBytes);
  const theirAnswer = rangeType.decode(answerBytes);

  const output = new Uint8Array(1 << 20);
  const spans = new PutRequestSpans();
  return [
    {
      work: "encode a put",
      theirs: {
        name: "protobufjs",
        repeat: (count) => {
          let sum = 0;
          for (let i = 0; i < count; i++) sum += putType.encode(theirPut).finish().length;
          return sum;
        },
      },
      ours: [
        {
          name: "into the output buffer",
          repeat: (count) => {
            let at = 0;
            for (let i = 0; i < count; i++) {
              if (at + sizePutRequest(put) > output.length) at = 0;
              at = encodePutRequest(put, output, at);
            }
            return at;
          },
        },
        {
          name: "into an array of its own",
          repeat: (count) => {
            let sum = 0;
            for (let i = 0; i < count; i++) sum += encodePutRequest(put, new Uint8Array(sizePutRequest(put)), 0);
            return sum;
          },
        },
      ],
    },
    {
      work: "decode a put",
      theirs: {
        name: "protobufjs",
        repeat: (count) => {
          let sum = 0;
          for (let i = 0; i < count; i++)
            sum += (putType.decode(putBytes) as unknown as { key: Uint8Array }).key.length;
          return sum;
        },
      },
      ours: [
        {
          name: "in place",
          repeat: (count) => {
            let sum = 0;
            for (let i = 0; i < count; i++) {
              scanPutRequest(putBytes, 0, putBytes.length, spans);
              sum += spans.valueEnd;
            }
            return sum;
          },
        },
        {
          name: "to a message with views",
          repeat: (count) => {
            let sum = 0;
            for (let i = 0; i < count; i++) sum += decodePutRequest(putBytes).key.length;
            return sum;
          },
        },
      ],
    },
    {
      work: "encode the answer to a range",
      theirs: {
        name: "protobufjs",
        repeat: (count) => {
          let sum = 0;
          for (let i = 0; i < count; i++) sum += rangeType.encode(theirAnswer).finish().length;
          return sum;
        },
      },
      ours: [
        {
          name: "into the output buffer",
          repeat: (count) => {
            let at = 0;
            for (let i = 0; i < count; i++) {
              if (at + sizeRangeResponse(answer) > output.length) at = 0;
              at = encodeRangeResponse(answer, output, at);
            }
            return at;
          },
        },
      ],
    },
    {
      work: "decode the answer to a range",
      theirs: {
        name: "protobufjs",
        repeat: (count) => {
          let sum = 0;
          for (let i = 0; i < count; i++)
            sum += (rangeType.decode(answerBytes) as unknown as { kvs: unknown[] }).kvs.length;
          return sum;
        },
      },
      ours: [
        {
          name: "to a message with views",
          repeat: (count) => {
            let sum = 0;
            for (let i = 0; i < count; i++) sum += decodeRangeResponse(answerBytes).kvs.length;
            return sum;
          },
        },
      ],
    },
  ];
}

function bytesOf(size: number, encode: (target: Uint8Array) => void): Uint8Array {
  const bytes = new Uint8Array(size);
  encode(bytes);
  return bytes;
}

/** CPU time, garbage collection included: other processes of the machine do not count. */
function measure(repeat: (count: number) => number): number {
  const start = process.cpuUsage();
  const checksum = repeat(messagesPerRound);
  const { user, system } = process.cpuUsage(start);
  if (!(checksum > 0)) throw new Error("a contender did nothing");
  return ((user + system) * 1000) / messagesPerRound;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}

if (process.argv[1]?.endsWith("codec.js")) run(process.argv.slice(2));
