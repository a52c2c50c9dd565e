/** The transport on real sockets while others misbehave, or take much. */
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { GrpcChannel, GrpcServer, type ServerCall, type ServiceTable, unary } from "@etcd-ts/grpc";
import { afterEach, describe, expect, it } from "vitest";
import { clientPreface, Flag, FrameType } from "../../packages/grpc/src/core/protocol.js";
import {
  block,
  concat,
  data,
  frame,
  headers,
  ping,
  request,
  requestPairs,
  reset,
  settings,
  windowUpdate,
} from "../../packages/grpc/src/testing/frames.js";
import { echoTable, writer } from "../../packages/grpc/src/testing/tables.js";

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function start(services: ServiceTable): Promise<number> {
  const server = new GrpcServer({ services });
  closers.push(() => server.close(0));
  return ((await server.listen({ host: "127.0.0.1", port: 0 })) as { port: number }).port;
}

async function open(port: number): Promise<GrpcChannel> {
  const channel = new GrpcChannel({ target: { host: "127.0.0.1", port } });
  closers.push(() => channel.close());
  await channel.connect();
  return channel;
}

const empty = {
  sizeBytes: 5,
  write: writer(new Uint8Array(5)),
  decode: (message: Uint8Array): number => message.length,
};

describe("attacks on one connection", () => {
  const hang = requestPairs("/test.Echo/Hang");
  const attacks: [name: string, make: (i: number) => Uint8Array][] = [
    ["rapid reset", (i) => concat(headers(2 * i + 1, hang), reset(2 * i + 1, 8))],
    ["made resets", (i) => concat(headers(2 * i + 1, hang), windowUpdate(2 * i + 1, 0))],
    [
      "CONTINUATION flood",
      (i) =>
        frame(i === 0 ? FrameType.headers : FrameType.continuation, 0, 1, i === 0 ? block(hang) : new Uint8Array(1000)),
    ],
    ["header bomb", (i) => frame(FrameType.headers, Flag.endHeaders | Flag.endStream, 2 * i + 1, bomb(i))],
    ["PING flood", (i) => ping(i)],
    ["SETTINGS flood", () => settings({ 4: 65_535 })],
    ["empty DATA", (i) => (i === 0 ? headers(1, hang) : data(1, new Uint8Array(0)))],
    ["PRIORITY flood", () => frame(FrameType.priority, 0, 1, new Uint8Array(5))],
    ["window overflow", () => windowUpdate(0, 0x7fff_ffff)],
    ["unknown frames", () => frame(0x42, 0, 0, new Uint8Array(100))],
  ];

  /** First a large table entry, then blocks that name it as often as a frame allows. */
  function bomb(i: number): Uint8Array {
    if (i > 0) return new Uint8Array(16_000).fill(0xbe);
    return concat(block(hang), Uint8Array.of(0x40, 1, 0x61, 0x7f, 0xb9, 0x16), new Uint8Array(3000).fill(0x78));
  }

  it.each(attacks)("%s ends within 5 s, and harms nobody else", async (_name, make) => {
    const port = await start(echoTable());
    const honest = await open(port);
    const attacker: Socket = connect(port, "127.0.0.1");
    let gone = false;
    attacker.on("error", () => undefined);
    attacker.on("close", () => {
      gone = true;
    });
    attacker.on("data", () => undefined);
    attacker.write(concat(clientPreface, settings()));
    const startedMs = performance.now();
    let sent = 0;
    const delays: number[] = [];
    while (!gone && performance.now() - startedMs < 5000) {
      const parts: Uint8Array[] = [];
      for (let i = 0; i < 100; i++) parts.push(make(sent++));
      if (!attacker.destroyed && attacker.writableLength < 1 << 20) attacker.write(concat(...parts));
      const before = performance.now();
      expect((await unary(honest, "/test.Echo/Unary", empty)).message).toBe(5);
      delays.push(performance.now() - before);
      await sleep(5);
    }
    expect(gone).toBe(true);
    expect(honest.state).toBe("ready");
    expect(delays.sort((a, b) => a - b)[Math.floor(delays.length / 2)]).toBeLessThan(100);
  });

  it("2 000 silent connections do not slow down an honest one", async () => {
    const port = await start(echoTable());
    const honest = await open(port);
    const silent = Array.from({ length: 2000 }, () => connect(port, "127.0.0.1").on("error", () => undefined));
    closers.push(() => {
      for (const socket of silent) socket.destroy();
    });
    const delays: number[] = [];
    for (let i = 0; i < 100; i++) {
      const before = performance.now();
      await unary(honest, "/test.Echo/Unary", empty);
      delays.push(performance.now() - before);
      await sleep(5);
    }
    expect(delays.sort((a, b) => a - b)[50]).toBeLessThan(50);
  });

  it("a client that does not read costs no more than the socket's share", async () => {
    let unread = 0;
    const services: ServiceTable = new Map([
      [
        "/t.T/Endless",
        {
          kind: "request",
          handle: (call: ServerCall) => {
            const bytes = new Uint8Array(10_000);
            const go = (): void => {
              while (call.send(bytes.length, writer(bytes))) unread += bytes.length;
            };
            call.onDrain(go);
            go();
          },
        },
      ],
    ]);
    const port = await start(services);
    const reader = connect(port, "127.0.0.1");
    reader.on("error", () => undefined);
    closers.push(() => {
      reader.destroy();
    });
    const wide = concat(clientPreface, settings({ 4: 0x7fff_ffff }), windowUpdate(0, 0x7000_0000));
    reader.write(concat(wide, ...Array.from({ length: 100 }, (_, i) => request(2 * i + 1, "/t.T/Endless", ""))));
    reader.pause();
    await sleep(300);
    const before = unread;
    await sleep(300);
    expect(unread).toBe(before);
    // What the kernel's socket buffers took, 256 KiB, and the high-water mark of each stream.
    expect(unread).toBeLessThan(40_000_000);
  });
});

describe("ten ranges of 10 MB beside a watch on one connection", () => {
  it("leave its events on time", async () => {
    const watches: ServerCall[] = [];
    const range = new Uint8Array(10_000_000).fill(1);
    const services: ServiceTable = new Map([
      ["/t.T/Range", { kind: "request", handle: (call: ServerCall) => call.respond(range.length, writer(range)) }],
      [
        "/t.T/Watch",
        {
          kind: "stream",
          open: (call: ServerCall) => {
            watches.push(call);
            return { onMessage: () => undefined, onHalfClose: () => undefined };
          },
        },
      ],
    ]);
    const channel = await open(await start(services));
    const delays: number[] = [];
    channel.open(
      "/t.T/Watch",
      {},
      {
        onMessage: (message) => delays.push(performance.now() - new DataView(message.slice().buffer).getFloat64(0)),
        onEnd: () => undefined,
      },
    );
    while (watches.length === 0) await sleep(1);
    const event = (): void => {
      watches[0]?.send(8, (target, at) =>
        new DataView(target.buffer, target.byteOffset).setFloat64(at, performance.now()),
      );
    };
    let ranges = 0;
    const untilMs = performance.now() + 2000;
    const work = Array.from({ length: 10 }, async () => {
      while (performance.now() < untilMs) {
        const { message } = await unary(channel, "/t.T/Range", { ...empty, decode: (bytes) => bytes.length });
        expect(message).toBe(range.length);
        ranges++;
      }
    });
    const events = setInterval(event, 10);
    await Promise.all(work);
    clearInterval(events);
    expect(ranges).toBeGreaterThanOrEqual(10);
    expect(delays.length).toBeGreaterThan(20);
    // Client, server and timer share this loop; a range alone is 10 MB to copy.
    expect(delays.sort((a, b) => a - b)[Math.floor(delays.length * 0.5)]).toBeLessThan(100);
    expect(delays.at(-1)).toBeLessThan(1000);
  });
});
