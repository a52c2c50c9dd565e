/** The benchmark's load generator against a server of another make: it must measure, and must not overlook a lie. */

import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from "@grpc/grpc-js";
import { afterEach, describe, expect, test } from "vitest";
import { type LoopResult, runClosedLoop } from "../../bench/generator/closed-loop.js";
import { Histogram } from "../../bench/generator/histogram.js";
import { HpackDecoder, HpackEncoder } from "../../bench/generator/hpack.js";
import { codeLengths, decodeHuffman } from "../../bench/generator/huffman.js";
import { benchmarkKeys } from "../../bench/generator/key-space.js";
import { KvPath, PutWork, RangeWork, Steps } from "../../bench/generator/kv-work.js";
import { MessageReader, MessageWriter } from "../../bench/generator/message.js";
import { startNullServer } from "../../bench/generator/null-server.js";
import { Revisions } from "../../bench/generator/revisions.js";
import { runWatches } from "../../bench/generator/watch-load.js";

const closers: (() => void)[] = [];

afterEach(() => {
  for (const close of closers.splice(0)) {
    close();
  }
});

/** A key-value server of one method each; `spoil` may change what it answers. */
async function startStore(spoil: { revision?: (revision: number) => number; value?: (value: Buffer) => Buffer } = {}) {
  const values = new Map<string, { value: Buffer; revision: number }>();
  let revision = 1;
  const header = (): Uint8Array => new MessageWriter(32).uint(3, spoil.revision?.(revision) ?? revision).finish();
  const fields = (bytes: Buffer): Map<number, Buffer> => {
    const reader = new MessageReader().reset(bytes, 0, bytes.length);
    const found = new Map<number, Buffer>();
    while (reader.next()) {
      found.set(reader.field, Buffer.from(bytes.subarray(reader.spanStart, reader.spanEnd)));
    }
    return found;
  };
  const put = (request: Buffer): Uint8Array => {
    const read = fields(request);
    revision++;
    values.set(read.get(1)?.toString() ?? "", { value: read.get(2) ?? Buffer.alloc(0), revision });
    return new MessageWriter(64).span(1, header()).finish();
  };
  const range = (request: Buffer): Uint8Array => {
    const key = fields(request).get(1) ?? Buffer.alloc(0);
    const found = values.get(key.toString());
    const value = found?.value ?? Buffer.alloc(0);
    const kv = new MessageWriter(1024)
      .span(1, key)
      .uint(3, found?.revision ?? 0)
      .span(5, spoil.value?.(value) ?? value);
    return new MessageWriter(2048).span(1, header()).span(2, kv.finish()).uint(4, 1).finish();
  };
  const server = new Server();
  const method = (path: string, answer: (request: Buffer) => Uint8Array) => ({
    path,
    requestStream: false,
    responseStream: false,
    requestSerialize: (bytes: Buffer) => bytes,
    requestDeserialize: (bytes: Buffer) => bytes,
    responseSerialize: (bytes: Uint8Array) => Buffer.from(bytes),
    responseDeserialize: (bytes: Buffer) => bytes,
    handle: (call: ServerUnaryCall<Buffer, Uint8Array>, reply: sendUnaryData<Uint8Array>) => {
      try {
        reply(null, answer(call.request));
      } catch (error) {
        reply({ code: 8, details: (error as Error).message });
      }
    },
  });
  const methods = { put: method(KvPath.put, put), range: method(KvPath.range, range) };
  server.addService(methods, { put: methods.put.handle, range: methods.range.handle });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  closers.push(() => server.forceShutdown());
  return { host: "127.0.0.1", port };
}

async function putAndGet(target: { host: string; port: number }): Promise<readonly LoopResult[]> {
  const keys = benchmarkKeys(300);
  const revisions = new Revisions();
  const run = (work: typeof PutWork | typeof RangeWork): Promise<LoopResult> => {
    const load = { keys, revisions, steps: new Steps({ end: 300 }) };
    return runClosedLoop({ ...target, connections: 2, streams: 5, work: () => new work(load) });
  };
  return [await run(PutWork), await run(RangeWork)];
}

describe("the loads", () => {
  test("every key is put once and found again", async () => {
    const results = await putAndGet(await startStore());
    expect(results.map((result) => [result.calls, result.latency.count])).toEqual([
      [300, 300],
      [300, 300],
    ]);
  });

  test("two writes of one revision are noticed", async () => {
    const target = await startStore({ revision: (revision) => revision - (revision % 2) });
    await expect(putAndGet(target)).rejects.toThrow(/revision/);
  });

  test("a revision that goes back is noticed", async () => {
    const target = await startStore({ revision: (revision) => 10_000 - revision });
    await expect(putAndGet(target)).rejects.toThrow(/was answered after/);
  });

  test("a changed value is noticed", async () => {
    const target = await startStore({ value: (value) => Buffer.from(value).fill(1, 200, 201) });
    await expect(putAndGet(target)).rejects.toThrow(/wrong value/);
  });

  test("the text of a failed call is shown", async () => {
    const target = await startStore({
      revision: () => {
        throw new Error("no space — left");
      },
    });
    await expect(putAndGet(target)).rejects.toThrow("status 8 and 0 answers: no space — left");
  });

  test("a server that closes the connection fails the run", async () => {
    const { server, port } = await startNullServer();
    server.on("connection", (socket) => socket.destroy());
    closers.push(() => server.close());
    await expect(putAndGet({ host: "127.0.0.1", port })).rejects.toThrow(/closed the connection|ECONNRESET|EPIPE/);
  });

  test("watchers are counted event by event", async () => {
    const { server, port } = await startNullServer();
    closers.push(() => server.close());
    const target = { host: "127.0.0.1", port, keys: benchmarkKeys(1), seconds: 0.1 };
    const result = await runWatches({ ...target, streams: 3, watchers: 7 });
    expect(result.calls).toBeGreaterThan(0);
    expect(result.calls % 21).toBe(0);
  });
});

describe("header compression", () => {
  test("the Huffman code is complete", () => {
    expect(codeLengths().reduce((sum, length) => sum + 2 ** -length, 0)).toBe(1);
    expect(decodeHuffman(Buffer.from("f1e3c2e5f23a6ba0ab90f4ff", "hex"), 0, 12)).toBe("www.example.com");
    expect(() => decodeHuffman(Buffer.from([0xf1, 0xe3, 0x00]), 0, 3)).toThrow(/padded/);
  });

  test("the responses of RFC 7541 appendix C.6, with evictions", () => {
    const decoder = new HpackDecoder();
    const decode = (hex: string) => {
      const bytes = Buffer.from(hex, "hex");
      return decoder.decode(bytes, 0, bytes.length);
    };
    // The example's table has 256 bytes.
    decode("3fe101");
    const first = decode(
      "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
    );
    expect(first).toEqual([
      [":status", "302"],
      ["cache-control", "private"],
      ["date", "Mon, 21 Oct 2013 20:13:21 GMT"],
      ["location", "https://www.example.com"],
    ]);
    expect(decode("4883640effc1c0bf")).toEqual([[":status", "307"], ...first.slice(1)]);
  });

  test("what the encoder sends twice is short and means the same", () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder();
    const fields = [
      [":path", "/a/B"],
      ["te", "trailers"],
      ["x-new", "1"],
    ] as const;
    const blocks = [encoder.encode(fields), encoder.encode(fields)];
    expect(blocks.map((block) => decoder.decode(block, 0, block.length))).toEqual([fields, fields]);
    expect(blocks[1]?.length).toBe(3);
  });
});

test("quantiles are right to two percent", () => {
  const histogram = new Histogram();
  for (let i = 1; i <= 1000; i++) {
    histogram.record(i);
  }
  expect(histogram.quantileMs(0.5)).toBeGreaterThan(485);
  expect(histogram.quantileMs(0.5)).toBeLessThan(515);
  expect(histogram.quantileMs(0.99)).toBeGreaterThan(965);
});
