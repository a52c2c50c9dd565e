import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { expect, test } from "vitest";
import type { Network, PeerStream } from "../env.js";
import { createNetwork } from "./network.js";

const streamHead = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";

/** A peer that answers with raw bytes; `use` gets its URL and the sockets it accepted. */
async function withPeer(
  answer: string,
  use: (url: string, sockets: readonly Socket[]) => Promise<void>,
): Promise<void> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    socket.once("data", () => socket.write(answer));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, sockets);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}

function open(network: Network, url: string): Promise<PeerStream> {
  return network.openStream({ url, method: "GET", headers: {}, timeoutMs: 2000 });
}

function post(network: Network, url: string): Promise<{ status: number }> {
  const body = new Uint8Array(10);
  return network.post({ url, method: "POST", headers: {}, body, timeoutMs: 2000, responseBytesMax: 10 });
}

test("a stream that is reset ends with an error, and harms nothing else", async () => {
  await withPeer(streamHead, async (url, sockets) => {
    const stream = await open(createNetwork(), url);
    const ended = new Promise<Error | undefined>((resolve) => {
      stream.start(() => sockets[0]?.resetAndDestroy(), resolve);
    });
    expect(await ended).toBeInstanceOf(Error);
  });
});

test("a reset of a stream nobody reads from yet harms nothing", async () => {
  await withPeer(streamHead, async (url, sockets) => {
    const stream = await open(createNetwork(), url);
    stream.close();
    sockets[0]?.resetAndDestroy();
    await once(sockets[0]!, "close");
  });
});

test("posts fail on a reset, on too long an answer, and on what is no HTTP", async () => {
  const network = createNetwork();
  await withPeer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", async (url, sockets) => {
    const failed = post(network, url).catch((error: unknown) => error);
    while (sockets[0]?.bytesWritten !== 40) await new Promise((resolve) => setImmediate(resolve));
    sockets[0]?.resetAndDestroy();
    expect(await failed).toBeInstanceOf(Error);
  });
  await withPeer(`HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n${"x".repeat(11)}`, async (url) => {
    await expect(post(network, url)).rejects.toThrow(/exceeds 10 bytes/);
  });
  await withPeer("SSH-2.0-OpenSSH_9.2\r\n", async (url) => {
    await expect(post(network, url)).rejects.toThrow();
    await expect(open(network, url)).rejects.toThrow();
  });
  await expect(post(network, "http://127.0.0.1:1")).rejects.toThrow(/ECONNREFUSED/);
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

test("a long body waits for its connection without leaving listeners behind", async () => {
  const warnings: string[] = [];
  const onWarning = ({ name }: Error): number => warnings.push(name);
  process.on("warning", onWarning);
  await withPeer("", async (url, sockets) => {
    const body = (async function* () {
      for (let i = 0; i < 100; i++) yield new Uint8Array(64 * 1024);
    })();
    const posted = createNetwork().post({
      url,
      method: "POST",
      headers: {},
      body,
      timeoutMs: 5000,
      responseBytesMax: 10,
    });
    const read = (async () => {
      while (sockets[0] === undefined) await new Promise((resolve) => setImmediate(resolve));
      const [socket] = sockets;
      let tail = "";
      for await (const chunk of socket as AsyncIterable<Buffer>) {
        tail = (tail + chunk.toString("latin1")).slice(-5);
        if (tail === "0\r\n\r\n") break;
      }
    })();
    await expect(Promise.all([posted, read])).rejects.toThrow();
  });
  process.off("warning", onWarning);
  expect(warnings).toEqual([]);
});

test("trailers follow a body that is made while it is sent; a body that fails breaks the request off", async () => {
  const network = createNetwork();
  const seen: string[] = [];
  const url = `http://127.0.0.1:${await freePort()}`;
  let chunkSeen: () => void = () => {};
  const listener = await network.serve(url, async (request) => {
    try {
      let text = "";
      for await (const chunk of request.body()) {
        text += new TextDecoder().decode(chunk);
        chunkSeen();
      }
      seen.push(`${text} ${JSON.stringify(request.trailers())}`);
    } catch {
      seen.push("broken off");
    }
    request.respond(204, {}, "");
  });
  try {
    const send = (body: AsyncIterable<Uint8Array>): Promise<{ status: number }> => {
      const trailers = () => ({ sum: "7" });
      const headers = { trailer: "sum" };
      return network.post({ url, method: "POST", headers, body, trailers, timeoutMs: 0, responseBytesMax: 10 });
    };
    async function* body(fails: boolean): AsyncGenerator<Uint8Array> {
      const arrived = new Promise<void>((resolve) => {
        chunkSeen = resolve;
      });
      yield new TextEncoder().encode("ab");
      await arrived;
      if (fails) throw new Error("no more");
      yield new TextEncoder().encode("c");
    }
    expect(await send(body(false))).toMatchObject({ status: 204 });
    await expect(send(body(true))).rejects.toThrow("no more");
    while (seen.length < 2) await new Promise((resolve) => setImmediate(resolve));
    expect(seen).toEqual(['abc {"sum":"7"}', "broken off"]);
  } finally {
    await listener.close();
  }
});
