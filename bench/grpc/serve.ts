/**
 * One of the servers that `bench/grpc.ts` compares: `node serve.js ours|grpc-js|node-http2|null BYTES`. Each answers
 * every unary call of `/bench.Bench/Get` with the same bytes and does nothing else. Prints its port to the parent by
 * message, and its CPU time at each message from it.
 */
import { createServer as createHttp2Server } from "node:http2";
import { createServer, type Socket } from "node:net";
import { GrpcServer, type ServerCall, type ServiceTable } from "@etcd-ts/grpc";
import { Server, ServerCredentials } from "@grpc/grpc-js";

const answer = Buffer.alloc(Number(process.argv[3] ?? 320), 0x61);
const prefix = Buffer.alloc(5);
prefix.writeUInt32BE(answer.length, 1);
const path = "/bench.Bench/Get";

async function serveOurs(): Promise<number> {
  const services: ServiceTable = new Map([
    [
      path,
      {
        kind: "request",
        handle: (call: ServerCall) => call.respond(answer.length, (target, at) => target.set(answer, at)),
      },
    ],
  ]);
  const server = new GrpcServer({ services });
  const address = await server.listen({ host: "127.0.0.1", port: 0 });
  return (address as { port: number }).port;
}

function serveGrpcJs(): Promise<number> {
  const server = new Server();
  const identity = (bytes: Buffer): Buffer => bytes;
  const get = {
    path,
    requestStream: false,
    responseStream: false,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  };
  server.addService(
    { get },
    { get: (_call: unknown, callback: (error: null, value: Buffer) => void) => callback(null, answer) },
  );
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
      if (error) reject(error);
      else resolve(port);
    });
  });
}

function serveNodeHttp2(): Promise<number> {
  const message = Buffer.concat([prefix, answer]);
  const server = createHttp2Server();
  server.on("stream", (stream) => {
    stream.on("data", () => undefined);
    stream.on("error", () => undefined);
    stream.on("end", () => {
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.end(message);
    });
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
  });
}

/** Answers without looking further than frame headers: what the generator can do at most. */
function serveNull(): Promise<number> {
  const block = Buffer.from("885f106170706c69636174696f6e2f67727063", "hex");
  const trailers = Buffer.from("000b677270632d7374617475730130", "hex");
  const head = (length: number, type: number, flags: number): number[] => [
    0,
    length >> 8,
    length & 255,
    type,
    flags,
    0,
    0,
    0,
    0,
  ];
  const frames = [Buffer.from([...head(block.length, 1, 4), ...block])];
  const message = Buffer.concat([prefix, answer]);
  for (let at = 0; at < message.length; at += 16_384) {
    const part = message.subarray(at, at + 16_384);
    frames.push(Buffer.concat([Buffer.from(head(part.length, 0, 0)), part]));
  }
  frames.push(Buffer.from([...head(trailers.length, 1, 5), ...trailers]));
  const whole = Buffer.concat(frames);
  const idsAt: number[] = [];
  let end = 0;
  for (const one of frames) {
    idsAt.push(end + 5);
    end += one.length;
  }
  const server = createServer((socket: Socket) => {
    socket.setNoDelay(true);
    socket.on("error", () => undefined);
    let rest = Buffer.alloc(0);
    let prefaceLeft = 24;
    socket.write(Buffer.from(head(0, 4, 0)));
    socket.on("data", (chunk) => {
      let bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      const skip = Math.min(prefaceLeft, bytes.length);
      prefaceLeft -= skip;
      bytes = bytes.subarray(skip);
      const out: Buffer[] = [];
      let at = 0;
      while (bytes.length - at >= 9) {
        const size = bytes.readUIntBE(at, 3) + 9;
        if (bytes.length - at < size) break;
        if (bytes[at + 3] === 0 && ((bytes[at + 4] ?? 0) & 1) === 1) {
          const one = Buffer.from(whole);
          for (const idAt of idsAt) bytes.copy(one, idAt, at + 5, at + 9);
          out.push(one);
        }
        at += size;
      }
      rest = bytes.subarray(at);
      if (out.length > 0) socket.write(Buffer.concat(out));
    });
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
  });
}

const kinds: Readonly<Record<string, () => Promise<number>>> = {
  ours: serveOurs,
  "grpc-js": serveGrpcJs,
  "node-http2": serveNodeHttp2,
  null: serveNull,
};

const serve = kinds[process.argv[2] ?? ""];
if (serve === undefined) throw new Error("usage: serve.js ours|grpc-js|node-http2|null");
process.on("message", () => {
  const { user, system } = process.cpuUsage();
  process.send?.({ cpuMicroseconds: user + system });
});
process.on("disconnect", () => process.exit(0));
const port = await serve();
process.send?.({ port });
