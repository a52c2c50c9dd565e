/** The benchmark's load generator against a server of another make: it must measure, and must not overlook a lie. */

import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type sendUnaryData,
} from "@grpc/grpc-js";
import { afterEach, describe, expect, test } from "vitest";
import { type LoopResult, runClosedLoop } from "../../bench/generator/closed-loop.js";
import { Histogram } from "../../bench/generator/histogram.js";
import { HpackDecoder, HpackEncoder } from "../../bench/generator/hpack.js";
import { codeLengths, decodeHuffman } from "../../bench/generator/huffman.js";
import { benchmarkKeys } from "../../bench/generator/key-space.js";
import { KvPath, PutWork, RangeWork, Steps } from "../../bench/generator/kv-work.js";
import { LeasePath, runKeepAlives } from "../../bench/generator/lease-work.js";
import { MessageReader, MessageWriter } from "../../bench/generator/message.js";
import { startNullServer } from "../../bench/generator/null-server.js";
import { Region } from "../../bench/generator/region.js";
import { Revisions } from "../../bench/generator/revisions.js";
import { StreamTable } from "../../bench/generator/stream-table.js";
import { runWatches, watchPath } from "../../bench/generator/watch-load.js";

const closers: (() => void)[] = [];

afterEach(() => {
  for (const close of closers.splice(0)) {
    close();
  }
});

/** The fields of a message, the last one of each number. */
function fieldsOf(bytes: Buffer): Map<number, Buffer> {
  const reader = new MessageReader().reset(bytes, 0, bytes.length);
  const found = new Map<number, Buffer>();
  while (reader.next()) {
    found.set(reader.field, Buffer.from(bytes.subarray(reader.spanStart, reader.spanEnd)));
  }
  return found;
}

type Answer = (request: Buffer) => Uint8Array;
type Stream = ServerDuplexStream<Buffer, Uint8Array>;

/** A server of other make with some unary and some streaming methods. */
async function startServer(methods: {
  unary?: Record<string, Answer>;
  streams?: Record<string, (call: Stream) => void>;
}) {
  const server = new Server();
  const definition = (path: string, isStream: boolean) => ({
    ...{ path, requestStream: isStream, responseStream: isStream },
    requestSerialize: (bytes: Buffer) => bytes,
    requestDeserialize: (bytes: Buffer) => bytes,
    responseSerialize: (bytes: Uint8Array) => Buffer.from(bytes),
    responseDeserialize: (bytes: Buffer) => bytes,
  });
  for (const [path, answer] of Object.entries(methods.unary ?? {})) {
    const call = (request: ServerUnaryCall<Buffer, Uint8Array>, reply: sendUnaryData<Uint8Array>): void => {
      try {
        reply(null, answer(request.request));
      } catch (error) {
        reply({ code: 8, details: (error as Error).message });
      }
    };
    server.addService({ call: definition(path, false) }, { call });
  }
  for (const [path, call] of Object.entries(methods.streams ?? {})) {
    server.addService({ call: definition(path, true) }, { call });
  }
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  closers.push(() => server.forceShutdown());
  return { host: "127.0.0.1", port };
}

/** A key-value server of one method each; `spoil` may change what it answers. */
async function startStore(spoil: { revision?: (revision: number) => number; value?: (value: Buffer) => Buffer } = {}) {
  const values = new Map<string, { value: Buffer; revision: number }>();
  let revision = 1;
  const header = (): Uint8Array => new MessageWriter(32).uint(3, spoil.revision?.(revision) ?? revision).finish();
  const put = (request: Buffer): Uint8Array => {
    const read = fieldsOf(request);
    revision++;
    values.set(read.get(1)?.toString() ?? "", { value: read.get(2) ?? Buffer.alloc(0), revision });
    return new MessageWriter(64).span(1, header()).finish();
  };
  const range = (request: Buffer): Uint8Array => {
    const key = fieldsOf(request).get(1) ?? Buffer.alloc(0);
    const found = values.get(key.toString());
    const value = found?.value ?? Buffer.alloc(0);
    const kv = new MessageWriter(1024)
      .span(1, key)
      .uint(3, found?.revision ?? 0)
      .span(5, spoil.value?.(value) ?? value);
    return new MessageWriter(2048).span(1, header()).span(2, kv.finish()).uint(4, 1).finish();
  };
  return startServer({ unary: { [KvPath.put]: put, [KvPath.range]: range } });
}

/** A server of watches, `spoil` may change the event of a revision that a watcher is given, or leave it out. */
function startWatches(spoil: (event: { value: Buffer; revision: number }, watchId: number) => boolean) {
  let revision = 1;
  const watchers: { call: Stream; watchId: number }[] = [];
  const start = (): MessageWriter => new MessageWriter(1024).span(1, new MessageWriter(16).uint(3, revision).finish());
  const put = (request: Buffer): Uint8Array => {
    const read = fieldsOf(request);
    revision++;
    for (const { call, watchId } of watchers) {
      const event = { value: Buffer.from(read.get(2) ?? ""), revision };
      if (spoil(event, watchId)) {
        const kv = new MessageWriter(512).span(1, read.get(1) ?? Buffer.alloc(0)).uint(3, event.revision);
        const field = new MessageWriter(600).span(2, kv.span(5, event.value).finish()).finish();
        call.write(start().uint(2, watchId).span(11, field).finish());
      }
    }
    return start().finish();
  };
  const watch = (call: Stream): void => {
    let next = 0;
    call.on("error", () => undefined);
    call.on("data", () => {
      const watchId = next++;
      watchers.push({ call, watchId });
      call.write(start().uint(2, watchId).uint(3, 1).finish());
    });
  };
  return startServer({ unary: { [KvPath.put]: put }, streams: { [watchPath]: watch } });
}

async function watchAll(spoil: Parameters<typeof startWatches>[0]): Promise<LoopResult> {
  const target = await startWatches(spoil);
  return runWatches({ ...target, streams: 1, watchers: 5, seconds: 0.2, keys: benchmarkKeys(1) });
}

/** Two leases kept alive by a server whose answers `spoil` may change. */
async function keepAlive(spoil: (answer: { lease: number; ttl: number }, count: number) => void): Promise<LoopResult> {
  let count = 0;
  const call = (stream: Stream): void => {
    stream.on("error", () => undefined);
    stream.on("data", (request: Buffer) => {
      const answer = { lease: fieldsOf(request).get(1)?.[0] ?? 0, ttl: 60 };
      spoil(answer, count++);
      stream.write(new MessageWriter(16).uint(2, answer.lease).uint(3, answer.ttl).finish());
    });
  };
  const target = await startServer({ streams: { [LeasePath.keepAlive]: call } });
  const leases = [Uint8Array.of(7), Uint8Array.of(8)];
  return runKeepAlives({ ...target, connections: 1, streams: 2, seconds: 0.1, leases, ttl: 60 });
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

  test("events that are right are taken", async () => {
    const result = await watchAll(() => true);
    expect(result.calls).toBeGreaterThan(0);
    expect(result.calls % 5).toBe(0);
  });

  // The first watcher's event is parsed, the others' are compared with it.
  test.each([0, 4])("a lie to watcher %i is noticed", async (liedTo) => {
    const value = watchAll((event, watchId) => {
      if (event.revision === 9 && watchId === liedTo) event.value.fill(1, 200, 201);
      return true;
    });
    await expect(value).rejects.toThrow(/revision 9 where 9 is next/);
    const revision = watchAll((event, watchId) => {
      if (event.revision === 9 && watchId === liedTo) event.revision = 10;
      return true;
    });
    await expect(revision).rejects.toThrow(/revision 10 where 9 is next/);
    const lost = watchAll((event, watchId) => event.revision !== 9 || watchId !== liedTo);
    await expect(lost).rejects.toThrow(/revision 10 where 9 is next/);
  });

  test("keepalives are counted, and one for another lease or time is noticed", async () => {
    expect((await keepAlive(() => undefined)).calls).toBeGreaterThan(0);
    const lease = keepAlive((answer, count) => {
      if (count === 10) answer.lease = 9;
    });
    await expect(lease).rejects.toThrow(/answered for 09/);
    const ttl = keepAlive((answer, count) => {
      if (count === 10) answer.ttl = 61;
    });
    await expect(ttl).rejects.toThrow(/TTL 61/);
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

test("a difference in any byte is seen", () => {
  for (let length = 0; length < 12; length++) {
    const region = Region.copyOf(Buffer.from("0123456789abcdef"));
    const other = Region.copyOf(region.bytes, 1);
    expect(region.isSame(2, length, other, 1)).toBe(true);
    for (let i = 0; i < length; i++) {
      const changed = Region.copyOf(other.bytes);
      changed.bytes[1 + i] = 0x7f;
      expect(region.isSame(2, length, changed, 1)).toBe(false);
    }
  }
});

test("streams are found by ids that only rise, beside streams that stay", () => {
  const table = new StreamTable();
  const handler = { onMessage: () => undefined, onEnd: () => undefined };
  const kept = [table.open(handler, 1)];
  let lastId = 1;
  for (let i = 0; i < 1000; i++) {
    const stream = table.open(handler, 1);
    expect(stream.id).toBeGreaterThan(lastId);
    expect(stream.id % 2).toBe(1);
    lastId = stream.id;
    expect(table.get(lastId)).toBe(stream);
    if (i % 10 === 0) {
      kept.push(stream);
    } else {
      table.close(stream);
      expect(table.get(lastId)).toBeUndefined();
    }
  }
  expect(new Set(table.all())).toEqual(new Set(kept));
  expect(kept.map(({ id }) => table.get(id))).toEqual(kept);
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
