/**
 * Member to member traffic over Node's HTTP/1.1: keep-alive connections for posts, one connection per stream, no
 * redirects followed.
 */

import { once } from "node:events";
import http from "node:http";
import https from "node:https";
import { createServer, type Server, type Socket } from "node:net";
import { type ConnectionOptions, createServer as createTlsServer, type TLSSocket, type TlsOptions } from "node:tls";
import type { TlsGuard } from "@etcd-ts/grpc";
import type { Listener, Network, PeerStream, PostRequest, PostResponse, ServedBody, ServedRequest } from "../env.js";

/** Certificates of the two roles; read again for each connection, so that they can be rotated. */
export interface PeerTls {
  client(): ConnectionOptions;
  server(): TlsOptions;
  readonly guard: TlsGuard;
}

const headersTimeoutMs = 30_000;
const headerBytesMax = 16 * 1024;

function flatten(headers: http.IncomingHttpHeaders): Record<string, string> {
  const flat: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) flat[name] = Array.isArray(value) ? value.join(", ") : value;
  }
  return flat;
}

function request(
  options: Pick<PostRequest, "url" | "method" | "headers">,
  tls: PeerTls | undefined,
  agents: { readonly http: http.Agent; readonly https: https.Agent },
): http.ClientRequest {
  const common = { method: options.method, headers: options.headers, maxHeaderSize: headerBytesMax };
  const outgoing = options.url.startsWith("https:")
    ? https.request(options.url, { ...common, ...tls?.client(), agent: agents.https })
    : http.request(options.url, { ...common, agent: agents.http });
  // A connection reset during the answer is an error of the request too, when nobody waits for it any more: the answer
  // itself ends with an error then.
  outgoing.on("error", () => {});
  return outgoing;
}

async function answer(outgoing: http.ClientRequest): Promise<http.IncomingMessage> {
  const [incoming] = (await once(outgoing, "response")) as [http.IncomingMessage];
  return incoming;
}

async function collect(incoming: http.IncomingMessage, bytesMax: number): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > bytesMax) {
      incoming.destroy();
      throw new RangeError(`answer exceeds ${bytesMax} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function sendBody(outgoing: http.ClientRequest, { body, trailers }: PostRequest): Promise<void> {
  if (body === undefined || body instanceof Uint8Array) {
    // Node tells nobody how long the body of a GET is, so that it would be taken for the next request.
    if (body !== undefined) outgoing.setHeader("content-length", body.length);
    outgoing.end(body);
    return;
  }
  for await (const chunk of body) {
    if (!outgoing.write(chunk)) await drained(outgoing);
    if (outgoing.destroyed) return;
  }
  if (trailers !== undefined) outgoing.addTrailers(trailers());
  outgoing.end();
}

/** Resolves when more may be written, or never again. Not `once`, whose other half would listen on after each wait. */
function drained(outgoing: http.ClientRequest): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      outgoing.off("drain", end).off("close", end);
      resolve();
    };
    outgoing.on("drain", end).on("close", end);
  });
}

function served(incoming: http.IncomingMessage, response: http.ServerResponse): ServedRequest {
  return {
    method: incoming.method ?? "",
    target: incoming.url ?? "/",
    headers: flatten(incoming.headers),
    remoteAddress: incoming.socket.remoteAddress ?? "",
    body: () => incoming,
    trailers: () => flatten(incoming.trailers),
    respond(status, headers, body) {
      response.writeHead(status, headers);
      response.end(body);
    },
    openBody(status, headers): ServedBody {
      response.writeHead(status, headers);
      response.flushHeaders();
      return {
        write: (bytes) => response.write(bytes),
        onDrain: (callback) => void response.on("drain", callback),
        onClose: (callback) => void response.on("close", callback),
        end: () => {
          response.end();
          // A peer that does not read would keep the connection open for good.
          response.socket?.destroySoon();
        },
      };
    },
  };
}

/** `tls` is needed for https URLs only. */
export function createNetwork(tls?: PeerTls): Network {
  const agents = {
    http: new http.Agent({ keepAlive: true, maxFreeSockets: 8 }),
    https: new https.Agent({ keepAlive: true, maxFreeSockets: 8 }),
  };
  // A stream holds its connection for good: it must not take one of the pool's.
  const streamAgents = { http: new http.Agent({ keepAlive: false }), https: new https.Agent({ keepAlive: false }) };
  return {
    async post(options): Promise<PostResponse> {
      const outgoing = request(options, tls, agents);
      if (options.timeoutMs > 0) {
        outgoing.setTimeout(options.timeoutMs, () =>
          outgoing.destroy(new Error(`no answer in ${options.timeoutMs} ms`)),
        );
      }
      // Behind an early answer the connection may break while the body is still being sent.
      outgoing.on("error", () => outgoing.destroy());
      const answered = answer(outgoing);
      const sent = sendBody(outgoing, options).catch((error: unknown) => {
        // The peer must not wait for the rest.
        outgoing.destroy();
        throw error;
      });
      const [incoming] = await Promise.all([answered, sent]);
      const body = await collect(incoming, options.responseBytesMax);
      return { status: incoming.statusCode ?? 0, headers: flatten(incoming.headers), body };
    },

    async openStream(options): Promise<PeerStream> {
      const outgoing = request(options, tls, streamAgents);
      const timer = setTimeout(
        () => outgoing.destroy(new Error(`no answer in ${options.timeoutMs} ms`)),
        options.timeoutMs,
      );
      outgoing.end();
      const incoming = await answer(outgoing).finally(() => clearTimeout(timer));
      incoming.socket.setNoDelay(true);
      incoming.socket.setKeepAlive(true, 30_000);
      return {
        status: incoming.statusCode ?? 0,
        headers: flatten(incoming.headers),
        start(onData, onEnd) {
          let ended = false;
          const end = (error: Error | undefined): void => {
            if (ended) return;
            ended = true;
            onEnd(error);
          };
          incoming.on("data", onData);
          incoming.on("error", end);
          incoming.on("close", () => end(undefined));
        },
        close: () => void incoming.destroy(),
      };
    },

    async serve(url, handler): Promise<Listener> {
      const { hostname, port, protocol } = new URL(url);
      const limits = { maxHeaderSize: headerBytesMax, headersTimeout: headersTimeoutMs, requestTimeout: 0 };
      const requests = http.createServer(limits, (incoming, response) => {
        response.socket?.setNoDelay(true);
        handler(served(incoming, response));
      });
      const server = protocol === "https:" && tls !== undefined ? tlsServer(tls, requests) : plainServer(requests);
      const sockets = new Set<Socket>();
      server.on("connection", (socket: Socket) => {
        sockets.add(socket);
        socket.on("close", () => sockets.delete(socket));
      });
      server.listen({ host: hostname.replace(/^\[|\]$/g, ""), port: Number(port || 0) });
      await once(server, "listening");
      return {
        async close() {
          const closed = once(server, "close");
          server.close();
          for (const socket of sockets) socket.destroy();
          await closed;
          requests.close();
        },
      };
    },
  };
}

function plainServer(requests: http.Server): Server {
  return createServer((socket) => requests.emit("connection", socket));
}

/** Hands a connection over when its handshake is done and the guard lets it in. */
function tlsServer(tls: PeerTls, requests: http.Server): Server {
  const server = createTlsServer({ ...tls.server(), handshakeTimeout: 10_000 });
  // Before each handshake. The callback of the server's name would not do: peers are mostly known by address.
  server.prependListener("connection", (socket: Socket) => {
    try {
      server.setSecureContext(tls.server());
    } catch {
      // Files that are just being replaced: the peer comes again.
      socket.destroy();
    }
  });
  server.on("secureConnection", async (socket: TLSSocket) => {
    socket.on("error", () => socket.destroy());
    if (await tls.guard.admits(socket)) requests.emit("connection", socket);
    else socket.destroy();
  });
  server.on("tlsClientError", (error: Error, socket: TLSSocket) => {
    tls.guard.handshakeFailed(error, socket);
    socket.destroy();
  });
  return server;
}
