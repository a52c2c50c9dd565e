import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import type { ConnectionLimits } from "../core/limits.js";
import { describeCalls, record } from "../testing/call-suite.js";
import { testCertificate } from "../testing/certificate.js";
import { goAway, settings } from "../testing/frames.js";
import { echoTable, writer } from "../testing/tables.js";
import { unary } from "../unary.js";
import { GrpcChannel } from "./channel.js";
import { GrpcServer } from "./server.js";

function portOf(address: unknown): number {
  return (address as { port: number }).port;
}

describeCalls("over TCP", {
  open: async (services) => {
    const server = new GrpcServer({ services });
    const port = portOf(await server.listen({ host: "127.0.0.1", port: 0 }));
    const client = new GrpcChannel({ target: { host: "127.0.0.1", port } });
    return {
      client,
      close: async () => {
        client.close();
        await server.close(1000);
      },
    };
  },
});

describeCalls("over TLS", {
  open: async (services) => {
    const { key, cert } = testCertificate();
    const server = new GrpcServer({ services });
    const port = portOf(await server.listen({ host: "127.0.0.1", port: 0, tls: { key, cert } }));
    const client = new GrpcChannel({ target: { host: "127.0.0.1", port }, tls: { ca: cert } });
    return {
      client,
      close: async () => {
        client.close();
        await server.close(1000);
      },
    };
  },
});

describeCalls("over a unix socket", {
  open: async (services) => {
    const directory = mkdtempSync(join(tmpdir(), "etcd-ts-grpc-"));
    const path = join(directory, "socket");
    const server = new GrpcServer({ services });
    await server.listen({ path });
    const client = new GrpcChannel({ target: { path } });
    return {
      client,
      close: async () => {
        client.close();
        await server.close(1000);
        rmSync(directory, { recursive: true });
      },
    };
  },
});

describe("GrpcChannel", () => {
  const closers: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });

  async function start(limits: Partial<ConnectionLimits> = {}): Promise<{ server: GrpcServer; port: number }> {
    const server = new GrpcServer({ services: echoTable(), limits });
    const port = portOf(await server.listen({ host: "127.0.0.1", port: 0 }));
    closers.push(() => server.close(200));
    return { server, port };
  }

  /** A raw TCP server whose connections the test drives. */
  async function raw(serve: (socket: Socket) => void): Promise<number> {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on("error", () => undefined);
      serve(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    closers.push(
      () =>
        new Promise((resolve) => {
          server.close(() => resolve());
          for (const socket of sockets) socket.destroy();
        }),
    );
    return portOf(server.address());
  }

  const request = (text: string) => ({
    sizeBytes: text.length,
    write: writer(new TextEncoder().encode(text)),
    decode: (message: Uint8Array): string => new TextDecoder().decode(message),
  });

  it("goes from idle to ready to closed, and says so", async () => {
    const { port } = await start();
    const states: string[] = [];
    const channel = new GrpcChannel({
      target: { host: "127.0.0.1", port },
      onState: (state, why) => states.push(`${state} ${why}`.trim()),
    });
    expect(channel.state).toBe("idle");
    await channel.connect();
    await channel.connect();
    const open = record(channel, "/test.Echo/Hang");
    channel.close();
    expect(await open.ended).toMatchObject({ code: 14, unprocessed: false });
    expect(await record(channel, "/test.Echo/Hang").ended).toMatchObject({ code: 14, unprocessed: true });
    await expect(channel.connect()).rejects.toThrow("the connection is closed");
    expect(states).toEqual(["connecting", "ready", "closed the connection is closed"]);
  });

  it("reports a server that is not there", async () => {
    const { server, port } = await start();
    await server.close(0);
    const channel = new GrpcChannel({ target: { host: "127.0.0.1", port } });
    const call = record(channel, "/test.Echo/Unary");
    await expect(channel.connect()).rejects.toThrow("ECONNREFUSED");
    expect(await call.ended).toMatchObject({ code: 14 });
    expect(channel.state).toBe("closed");
  });

  it("gives up on a server that does not speak in time, or not HTTP/2", async () => {
    const silent = await raw(() => undefined);
    const http1 = await raw((socket) => socket.write("HTTP/1.1 400 Bad Request\r\n\r\n"));
    const slow = new GrpcChannel({ target: { host: "127.0.0.1", port: silent }, connectTimeoutMs: 100 });
    await expect(slow.connect()).rejects.toThrow(/timed out|in time/);
    const wrong = new GrpcChannel({ target: { host: "127.0.0.1", port: http1 } });
    await expect(wrong.connect()).rejects.toThrow(/ERROR/);
  });

  it("tells calls that the server has not looked at from those it may have", async () => {
    const port = await raw((socket) => {
      socket.write(settings());
      let seen = 0;
      socket.on("data", (chunk) => {
        seen += chunk.length;
        if (seen > 300) socket.end(goAway(1, 0));
      });
    });
    const channel = new GrpcChannel({ target: { host: "127.0.0.1", port } });
    await channel.connect();
    const first = record(channel, "/test.Echo/Unary");
    const second = record(channel, "/test.Echo/Unary");
    expect(await second.ended).toMatchObject({ code: 14, unprocessed: true });
    expect(await first.ended).toMatchObject({ code: 14, unprocessed: false });
  });

  it("keeps to the number of streams that the server allows", async () => {
    const { port } = await start({ streamsMax: 2 });
    const channel = new GrpcChannel({ target: { host: "127.0.0.1", port } });
    closers.push(async () => channel.close());
    await channel.connect();
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) => unary(channel, "/test.Echo/Unary", request(`call ${i}`))),
    );
    expect(answers.map(({ message }) => message)).toEqual(Array.from({ length: 50 }, (_, i) => `call ${i}`));
    const held = [record(channel, "/test.Echo/Hang"), record(channel, "/test.Echo/Hang")];
    const waiting = record(channel, "/test.Echo/Unary", { timeoutMs: 50 });
    expect(await waiting.ended).toMatchObject({ code: 4, unprocessed: true });
    const next = record(channel, "/test.Echo/Unary");
    next.call.sendLast(1, writer(Uint8Array.of(65)));
    held[0]?.call.cancel();
    expect(await next.ended).toMatchObject({ code: 0 });
    expect(next.messages).toEqual(["A"]);
  });

  it("does not open streams for calls that have ended while they waited", async () => {
    const { port } = await start({ streamsMax: 1 });
    const channel = new GrpcChannel({ target: { host: "127.0.0.1", port } });
    closers.push(async () => channel.close());
    await channel.connect();
    const open = record(channel, "/test.Echo/Hang");
    const waiting = record(channel, "/test.Echo/Hang");
    waiting.call.cancel();
    open.call.cancel();
    expect((await unary(channel, "/test.Echo/Unary", request("next"), { timeoutMs: 5000 })).message).toBe("next");
  });

  it("drains when the server does", async () => {
    const { server, port } = await start();
    const states: string[] = [];
    const channel = new GrpcChannel({ target: { host: "127.0.0.1", port }, onState: (state) => states.push(state) });
    await channel.connect();
    const open = record(channel, "/test.Echo/Bidi");
    open.call.send(1, writer(Uint8Array.of(66)));
    await open.received(1);
    const closed = server.close(5000);
    while (channel.state === "ready") await new Promise((resolve) => setImmediate(resolve));
    expect(await record(channel, "/test.Echo/Unary").ended).toMatchObject({ code: 14, unprocessed: true });
    open.call.send(1, writer(Uint8Array.of(67)));
    await open.received(2);
    open.call.halfClose();
    expect(await open.ended).toMatchObject({ code: 0 });
    await closed;
    expect(states).toEqual(["connecting", "ready", "draining", "closed"]);
  });

  it("notices by keepalive that the server is gone", async () => {
    const port = await raw((socket) => socket.write(settings()));
    const keepalive = { intervalMs: 50, timeoutMs: 50, permitWithoutStream: true, minClientIntervalMs: 0 };
    const channel = new GrpcChannel({ target: { host: "127.0.0.1", port }, limits: { keepalive } });
    await channel.connect();
    expect(await record(channel, "/test.Echo/Unary").ended).toMatchObject({
      code: 14,
      message: "keepalive ping not acked within timeout",
    });
  });

  it("refuses a TLS server that is not trusted", async () => {
    const { key, cert } = testCertificate();
    const server = new GrpcServer({ services: echoTable() });
    const port = portOf(await server.listen({ host: "127.0.0.1", port: 0, tls: { key, cert } }));
    closers.push(() => server.close(100));
    const channel = new GrpcChannel({ target: { host: "127.0.0.1", port }, tls: {} });
    await expect(channel.connect()).rejects.toThrow(/self-signed/);
  });
});
