import { readFileSync } from "node:fs";
import { DecodeError } from "@etcd-ts/api";
import { createMessage, type Message, MessageType } from "@etcd-ts/raft";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeRaftMessage } from "./raft-message.js";
import {
  AppendStreamDecoder,
  AppendStreamEncoder,
  MessageStreamDecoder,
  MessageStreamEncoder,
  type StreamDecoder,
  type StreamEncoder,
  StreamFormatError,
} from "./stream-codec.js";

const local = 2n;
const remote = 0x8e9e05c52164694dn;

interface Vector {
  readonly name: string;
  readonly stream: "msgapp" | "message";
  readonly messages: readonly string[];
  readonly bytes: string;
}

/** What Go wrote; see tests/interop/go/peerwire. */
const vectors = JSON.parse(
  readFileSync(new URL("testdata/go-streams.json", import.meta.url), "utf8"),
) as readonly Vector[];

/** The others set fields to zero which we leave out, or the other way round: it means the same. */
const sameBytes: ReadonlySet<string> = new Set(["appends", "others"]);

function decoderOf(stream: Vector["stream"], messages: Message[]): StreamDecoder {
  const keep = (message: Message): void => void messages.push(message);
  return stream === "msgapp" ? new AppendStreamDecoder(local, remote, keep) : new MessageStreamDecoder(keep);
}

function encoderOf(stream: Vector["stream"]): StreamEncoder {
  return stream === "msgapp" ? new AppendStreamEncoder() : new MessageStreamEncoder();
}

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, "hex"));
}

function sent({ messages }: Vector): Message[] {
  return messages.map((hex) => decodeRaftMessage(bytesOf(hex)));
}

/** Buffers of different classes and unset fields are the same to raft. */
function comparable(messages: readonly Message[]): unknown {
  return JSON.parse(
    JSON.stringify(messages, (_name, value: unknown) => {
      if (typeof value === "bigint") return String(value);
      return value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value;
    }),
  );
}

describe.each(vectors)("Go's stream: $name", (vector) => {
  test("is read, however it is cut", () => {
    const bytes = bytesOf(vector.bytes);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: bytes.length }), { maxLength: 30 }), (cuts) => {
        const messages: Message[] = [];
        const decoder = decoderOf(vector.stream, messages);
        let from = 0;
        for (const cut of [...cuts.sort((a, b) => a - b), bytes.length]) {
          decoder.push(bytes.subarray(from, cut));
          from = cut;
        }
        expect(comparable(messages)).toEqual(comparable(sent(vector)));
      }),
    );
  });

  test("is written", () => {
    const encoder = encoderOf(vector.stream);
    const parts = sent(vector).map((message) => encoder.encode(message));
    const written = Buffer.concat([...parts, encoder.encodeHeartbeat()]);
    if (sameBytes.has(vector.name)) expect(written.toString("hex")).toBe(vector.bytes);
    const messages: Message[] = [];
    decoderOf(vector.stream, messages).push(written);
    expect(comparable(messages)).toEqual(comparable(sent(vector)));
  });
});

test("messages of members before 3.6 carry zeros and an empty snapshot", () => {
  const heartbeat = bytesOf("0808100018002000280030004000" + "4a0c0a001208" + "0a00100018002000" + "5000" + "5800");
  const messages: Message[] = [];
  const frame = new Uint8Array(8 + heartbeat.length);
  frame[7] = heartbeat.length;
  frame.set(heartbeat, 8);
  new MessageStreamDecoder((message) => messages.push(message)).push(frame);
  expect(messages).toEqual([]);
});

const entry = fc.record({
  type: fc.constantFrom(0 as const, 1 as const),
  data: fc.option(fc.uint8Array({ minLength: 1, maxLength: 40 }), { nil: undefined }),
});

/** Appends of a leader: mostly the next entries, sometimes from elsewhere, sometimes of a new term. */
const appends = fc.array(
  fc.record({ jump: fc.nat(9), newTerm: fc.nat(5), entries: fc.array(entry, { maxLength: 4 }), commit: fc.nat(99) }),
  { maxLength: 20 },
);

test("appends survive the way, whatever follows what", () => {
  fc.assert(
    fc.property(appends, fc.integer({ min: 1, max: 50 }), (steps, chunkBytes) => {
      let term = 1;
      let logTerm = 0;
      let index = 0;
      const messages: Message[] = [];
      for (const step of steps) {
        if (step.newTerm === 0) term++;
        if (step.jump === 0) index += 3;
        const first = index + 1;
        const entries = step.entries.map((fields, i) => ({ ...fields, term, index: first + i }));
        const { commit } = step;
        messages.push(
          createMessage({ type: MessageType.app, from: remote, to: local, term, logTerm, index, entries, commit }),
        );
        if (entries.length > 0) logTerm = term;
        index += entries.length;
      }
      const encoder = new AppendStreamEncoder();
      const bytes = Buffer.concat(messages.map((message) => encoder.encode(message)));
      const received: Message[] = [];
      const decoder = new AppendStreamDecoder(local, remote, (message) => received.push(message));
      for (let at = 0; at < bytes.length; at += chunkBytes) decoder.push(bytes.subarray(at, at + chunkBytes));
      expect(comparable(received)).toEqual(comparable(messages));
    }),
  );
});

describe("what no peer sends", () => {
  const refused: readonly (readonly [string, Vector["stream"], string, RegExp])[] = [
    ["an unknown type", "msgapp", "03", /unknown type 3/],
    ["too many entries", "msgapp", "01ffffffffffffffff", /append of 18446744073709552000 entries/],
    ["an oversized entry", "msgapp", "0100000000000000010000000020000001", /536870913 bytes exceeds 536870912/],
    ["an oversized append", "msgapp", "020000000020000001", /536870913 bytes exceeds 536870912/],
    ["an oversized message", "message", "7fffffffffffffff", /9223372036854776000 bytes exceeds/],
    ["a commit index beyond 2^53", "msgapp", "0100000000000000000020000000000000", /commit index .* out of range/],
  ];
  test.each(refused)("%s is refused as soon as it shows", (_name, stream, hex, text) => {
    expect(() => decoderOf(stream, []).push(bytesOf(hex))).toThrow(text);
    expect(() => decoderOf(stream, []).push(bytesOf(hex))).toThrow(StreamFormatError);
  });

  test("a message that is no protobuf is refused", () => {
    expect(() => decoderOf("message", []).push(bytesOf("0000000000000002ffff"))).toThrow(DecodeError);
    expect(() => decoderOf("msgapp", []).push(bytesOf("020000000000000002ffff"))).toThrow(DecodeError);
    expect(() => decoderOf("msgapp", []).push(bytesOf("010000000000000001" + "0000000000000002ffff"))).toThrow(
      DecodeError,
    );
  });

  test("an announced frame takes no memory before it comes", () => {
    const before = process.memoryUsage().arrayBuffers;
    const decoders = Array.from({ length: 50 }, () => decoderOf("message", []));
    for (const decoder of decoders) decoder.push(bytesOf("0000000020000000" + "08"));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1024 * 1024);
  });

  test("noise is refused or waited on, never worse", () => {
    fc.assert(
      fc.property(
        fc.constantFrom("msgapp" as const, "message" as const),
        fc.constantFrom(...vectors),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 5 }),
        (stream, vector, flips) => {
          const bytes = bytesOf(vector.bytes);
          for (const [at, value] of flips) bytes[at % bytes.length] = value;
          try {
            decoderOf(stream, []).push(bytes);
          } catch (error) {
            expect(error instanceof StreamFormatError || error instanceof DecodeError).toBe(true);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});
