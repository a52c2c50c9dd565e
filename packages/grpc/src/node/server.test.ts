import { request as httpRequest } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { gzipSync } from "node:zlib";
import { afterEach, describe, expect, it } from "vitest";
import { serverLimits } from "../core/limits.js";
import { clientPreface } from "../core/protocol.js";
import type { HttpExchange } from "../http.js";
import { testCertificate } from "../testing/certificate.js";
import {
  concat,
  data,
  FrameDescriber,
  frame,
  headers,
  message,
  ping,
  requestPairs,
  settings,
  splitFrames,
} from "../testing/frames.js";
import { echoTable } from "../testing/tables.js";
import { GrpcServer, type GrpcServerOptions } from "./server.js";

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function start(
  options: Partial<GrpcServerOptions> = {},
  tls = false,
): Promise<{ server: GrpcServer; port: number }> {
  const server = new GrpcServer({ services: echoTable(), ...options });
  const where = { host: "127.0.0.1", port: 0 };
  const address = await server.listen(tls ? { ...where, tls: testCertificate() } : where);
  closers.push(() => server.close(100));
  return { server, port: (address as { port: number }).port };
}

/** A raw client: everything it was sent, and when it was closed. */
class RawClient {
  readonly socket: Socket;
  received: Uint8Array = new Uint8Array(0);
  readonly closed: Promise<void>;

  constructor(port: number) {
    this.socket = connect(port, "127.0.0.1");
    this.socket.on("error", () => undefined);
    this.socket.on("data", (chunk) => {
      this.received = concat(this.received, chunk);
    });
    this.closed = new Promise((resolve) => this.socket.on("close", () => resolve()));
    closers.push(async () => {
      this.socket.destroy();
    });
  }

  frames(): string[] {
    const describer = new FrameDescriber();
    return splitFrames(this.received).frames.map((one) => describer.describe(one));
  }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

function collect(exchange: HttpExchange): void {
  let size = 0;
  exchange.receive({
    onData: (bytes) => {
      size += bytes.length;
    },
    onEnd: () =>
      exchange.respond(200, { "x-protocol": exchange.protocol }, `${exchange.method} ${exchange.target} ${size}`),
  });
}

function http1(port: number, method: string, path: string, body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: "127.0.0.1", port, method, path, agent: false }, (response) => {
      let text = "";
      response.on("data", (chunk) => {
        text += chunk;
      });
      response.on("end", () => resolve(`${response.statusCode} ${response.headers["x-protocol"]} ${text}`));
    });
    request.on("error", reject);
    request.end(body);
  });
}

function http2(url: string, method: string, path: string, body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const session = connectHttp2(url, { rejectUnauthorized: false });
    session.on("error", reject);
    const stream = session.request({ ":method": method, ":path": path }, { endStream: body === "" });
    let text = "";
    let head = "";
    stream.on("response", (fields) => {
      head = `${fields[":status"]} ${fields["x-protocol"]}`;
    });
    stream.on("data", (chunk) => {
      text += chunk;
    });
    stream.on("end", () => {
      session.close();
      resolve(`${head} ${text}`);
    });
    stream.on("error", reject);
    if (body !== "") stream.end(body);
  });
}

describe("one port for all protocols", () => {
  it("hands HTTP/1.1 and HTTP/2 requests to one handler", async () => {
    const { port } = await start({ http: collect });
    const tls = await start({ http: collect }, true);
    const body = "b".repeat(100_000);
    expect(await http1(port, "POST", "/a?b=1", body)).toBe("200 HTTP/1.1 POST /a?b=1 100000");
    expect(await http2(`http://127.0.0.1:${port}`, "POST", "/a", body)).toBe("200 HTTP/2.0 POST /a 100000");
    expect(await http2(`https://127.0.0.1:${tls.port}`, "GET", "/", "")).toBe("200 HTTP/2.0 GET / 0");
  });

  it("serves HTTP/1.1 over TLS by ALPN or by its first bytes", async () => {
    const { port } = await start({ http: collect }, true);
    for (const ALPNProtocols of [["http/1.1"], undefined]) {
      const socket = connectTls({
        port,
        host: "127.0.0.1",
        rejectUnauthorized: false,
        ...(ALPNProtocols && { ALPNProtocols }),
      });
      socket.write("GET /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
      let text = "";
      for await (const chunk of socket) text += chunk;
      expect(text).toContain("GET /x 0");
    }
  });

  it("recognises a preface that comes byte by byte", async () => {
    const { port } = await start();
    const client = new RawClient(port);
    for (const byte of concat(clientPreface, settings())) {
      client.socket.write(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => client.frames().includes("settings ack"));
  });

  it("closes a connection that speaks neither, or HTTP/1.1 when there is no handler", async () => {
    const { port } = await start({ http: collect });
    const neither = new RawClient(port);
    neither.socket.write("INVALID PREFACE\r\n\r\n");
    await neither.closed;
    expect(neither.received).toHaveLength(0);
    const other = await start();
    const plain = new RawClient(other.port);
    plain.socket.write("GET / HTTP/1.1\r\n\r\n");
    await plain.closed;
  });

  it("inflates what a client has compressed, and bounds it", async () => {
    const { port } = await start({ limits: { receiveMessageBytesMax: 1000 } });
    const client = new RawClient(port);
    const bodies = [gzipSync("hello"), gzipSync(new Uint8Array(100_000_000)), new Uint8Array(10)];
    client.socket.write(concat(clientPreface, settings()));
    bodies.forEach((body, i) => {
      // The bomb is as long as a message may be on the wire.
      const sent = message(body.subarray(0, 1000), { compressed: true });
      const pairs = requestPairs("/test.Echo/Unary", [["grpc-encoding", "gzip"]]);
      client.socket.write(concat(headers(2 * i + 1, pairs), data(2 * i + 1, sent, { endStream: true })));
    });
    await until(() => client.frames().filter((line) => line.includes("grpc-status")).length === 3);
    const said = client.frames().join("\n");
    expect(said).toContain('\\u0005hello"');
    expect(said).toMatch(/headers 3 .*grpc-status=(8|13)/);
    expect(said).toMatch(/headers 5 .*grpc-status=13/);
  });
});

describe("slow and many clients", () => {
  const limits = { prefaceTimeoutMs: 60, headersTimeoutMs: 60, bodyTimeoutMs: 60 };

  it.each([
    ["nothing", new Uint8Array(0)],
    ["half a preface", clientPreface.slice(0, 10)],
    ["a preface alone", clientPreface],
    ["half a frame", concat(clientPreface, settings(), headers(1, requestPairs("/a.B/C")).slice(0, 12))],
    ["half an HTTP/1.1 request", new TextEncoder().encode("GET / HTTP/1.1\r\nhost")],
    ["half an HTTP/1.1 body", new TextEncoder().encode("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n1")],
  ])("ends a connection that sends %s and then no more", async (_name, bytes) => {
    const { server, port } = await start({ limits, http: collect });
    const client = new RawClient(port);
    if (bytes.length > 0) client.socket.write(bytes);
    await client.closed;
    await until(() => server.connectionCount === 0);
  });

  it("ends a TLS handshake that takes too long", async () => {
    const { port } = await start({ handshakeTimeoutMs: 60 }, true);
    const client = new RawClient(port);
    client.socket.write(Uint8Array.of(0x16, 3, 1));
    await client.closed;
  });

  it("closes connections and handshakes above the maximum", async () => {
    const { server, port } = await start({ connectionsMax: 2 });
    const clients = [1, 2].map(() => new RawClient(port));
    await until(() => server.connectionCount === 2);
    const third = new RawClient(port);
    await third.closed;
    clients[0]?.socket.destroy();
    await until(() => server.connectionCount === 1);
    const fourth = new RawClient(port);
    await until(() => server.connectionCount === 2);
    fourth.socket.destroy();

    const tls = await start({ handshakesMax: 2 }, true);
    const halfOpen = [1, 2].map(() => new RawClient(tls.port));
    for (const { socket } of halfOpen) await new Promise((resolve) => socket.on("connect", resolve));
    const refused = new RawClient(tls.port);
    await refused.closed;
    for (const { socket } of halfOpen) socket.destroy();
    // Their places are free again.
    const session = async (): Promise<boolean> =>
      http2(`https://127.0.0.1:${tls.port}`, "GET", "/", "").then(
        () => true,
        () => false,
      );
    let good = false;
    for (let i = 0; i < 100 && !good; i++) good = await session();
    expect(good).toBe(true);
  });

  it("does not read on for a client that does not read its answers", async () => {
    const keepalive = { ...serverLimits.keepalive, minClientIntervalMs: 0 };
    const { port } = await start({ limits: { keepalive, socketBytesMax: 1024, controlBytesMax: 1024 } });
    const client = connect(port, "127.0.0.1");
    client.on("error", () => undefined);
    closers.push(async () => {
      client.destroy();
    });
    client.write(concat(clientPreface, settings(), headers(1, requestPairs("/test.Echo/Hang"))));
    client.pause();
    const pings = concat(...Array.from({ length: 5000 }, (_, i) => ping(i)));
    let sent = 0;
    let taken: Promise<boolean>;
    const soon = (): Promise<boolean> => new Promise((resolve) => setTimeout(() => resolve(false), 1500));
    do {
      sent += pings.length;
      // The kernel's buffers of both directions fill first.
      expect(sent).toBeLessThan(60_000_000);
      taken = new Promise((resolve) => client.write(pings, () => resolve(true)));
    } while (await Promise.race([taken, soon()]));
    client.on("data", () => undefined);
    client.resume();
    expect(await taken).toBe(true);
  });

  it("stops serving at once when told to, whatever is open", async () => {
    const { server, port } = await start({ http: () => undefined });
    const client = new RawClient(port);
    client.socket.write(concat(clientPreface, settings(), headers(1, requestPairs("/test.Echo/Hang"))));
    const silent = new RawClient(port);
    const waiting = new RawClient(port);
    waiting.socket.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    await until(() => server.connectionCount === 3 && client.frames().length > 2);
    await server.close(30);
    await Promise.all([client.closed, silent.closed, waiting.closed]);
    expect(client.frames().at(-1)).toContain("goAway");
  });

  it("survives garbage", async () => {
    const { server, port } = await start({ http: collect });
    for (let type = 0; type < 12; type++) {
      const client = new RawClient(port);
      client.socket.write(concat(clientPreface, settings(), frame(type, 0xff, 1, new Uint8Array(7).fill(type * 31))));
      client.socket.end();
      await client.closed;
    }
    await until(() => server.connectionCount === 0);
    expect(await http1(port, "GET", "/ok", "")).toContain("200");
  });
});
