/** The transport on real sockets while others misbehave, or take much. */
import { connect, type Socket } from "node:net";
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

/** Far above what any attack needs before it is ended. */
const roundsMax = 20_000;
/** Round trips of another client without any change before a server is held to have stopped. */
const quietRounds = 100;
const rangeCount = 10;

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

  it.each(attacks)("%s ends the connection, and harms nobody else", async (_name, make) => {
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
    let sent = 0;
    for (let round = 0; round < roundsMax && !gone; round++) {
      const parts: Uint8Array[] = [];
      for (let i = 0; i < 100; i++) parts.push(make(sent++));
      if (!attacker.destroyed && attacker.writableLength < 1 << 20) attacker.write(concat(...parts));
      expect((await unary(honest, "/test.Echo/Unary", empty)).message).toBe(5);
    }
    expect(gone).toBe(true);
    expect(honest.state).toBe("ready");
  });

  it("2 000 silent connections do not keep an honest one from its answers", async () => {
    const port = await start(echoTable());
    const honest = await open(port);
    const silent = Array.from({ length: 2000 }, () => connect(port, "127.0.0.1").on("error", () => undefined));
    closers.push(() => {
      for (const socket of silent) socket.destroy();
    });
    for (let i = 0; i < 100; i++) expect((await unary(honest, "/test.Echo/Unary", empty)).message).toBe(5);
  });

  it("a client that does not read costs no more than the socket's share", async () => {
    let unread = 0;
    const services: ServiceTable = new Map([
      ...echoTable(),
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
    const honest = await open(port);
    const reader = connect(port, "127.0.0.1");
    reader.on("error", () => undefined);
    closers.push(() => {
      reader.destroy();
    });
    const wide = concat(clientPreface, settings({ 4: 0x7fff_ffff }), windowUpdate(0, 0x7000_0000));
    reader.write(concat(wide, ...Array.from({ length: 100 }, (_, i) => request(2 * i + 1, "/t.T/Endless", ""))));
    reader.pause();
    for (let quiet = 0; quiet < quietRounds; ) {
      const before = unread;
      await unary(honest, "/test.Echo/Unary", empty);
      quiet = unread > 0 && unread === before ? quiet + 1 : 0;
      // What the kernel's socket buffers took, 256 KiB, and the high-water mark of each stream.
      expect(unread).toBeLessThan(40_000_000);
    }
  });
});

describe("ten ranges of 10 MB beside a watch on one connection", () => {
  it("let its event overtake them, even one sent when all of them were already queued", async () => {
    let opened: (watch: ServerCall) => void = () => undefined;
    const watching = new Promise<ServerCall>((resolve) => {
      opened = resolve;
    });
    const range = new Uint8Array(10_000_000).fill(1);
    let queued = 0;
    const services: ServiceTable = new Map([
      [
        "/t.T/Range",
        {
          kind: "request",
          handle: (call: ServerCall) => {
            call.respond(range.length, writer(range));
            if (++queued === rangeCount) void watching.then((watch) => watch.send(1, writer(Uint8Array.of(7))));
          },
        },
      ],
      [
        "/t.T/Watch",
        {
          kind: "stream",
          open: (call: ServerCall) => {
            opened(call);
            return { onMessage: () => undefined, onHalfClose: () => undefined };
          },
        },
      ],
    ]);
    const channel = await open(await start(services));
    const arrivals: string[] = [];
    channel.open("/t.T/Watch", {}, { onMessage: () => arrivals.push("event"), onEnd: () => undefined });
    await watching;
    const ranges = Array.from({ length: rangeCount }, async () => {
      const { message } = await unary(channel, "/t.T/Range", { ...empty, decode: (bytes) => bytes.length });
      arrivals.push("range");
      expect(message).toBe(range.length);
    });
    await Promise.all(ranges);
    expect(arrivals).toEqual(["event", ...Array.from({ length: rangeCount }, () => "range")]);
  });
});
