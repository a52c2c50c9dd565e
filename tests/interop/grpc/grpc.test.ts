/**
 * The transport and other implementations, both ways: Go's gRPC, grpc-js, curl, and h2spec's rules of RFC 9113 and
 * 7541.
 */
import { execFile } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { GrpcChannel } from "@etcd-ts/grpc";
import { Client, credentials, Metadata, Server, ServerCredentials, type ServiceError } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { record } from "../../../packages/grpc/src/testing/call-suite.js";
import { testCertificate } from "../../../packages/grpc/src/testing/certificate.js";
import { echoTable, writer } from "../../../packages/grpc/src/testing/tables.js";
import { bin, buildPeers, certificateFiles, GoServer, type OurServer, run, startOurs } from "./peers.js";

let ours: OurServer;
let files: { readonly cert: string; readonly key: string };

beforeAll(async () => {
  buildPeers();
  files = certificateFiles(testCertificate());
  ours = await startOurs(echoTable(), testCertificate());
});

afterAll(async () => {
  rmSync(dirname(files.cert), { recursive: true });
  await ours.close();
});

describe("h2spec, strict", () => {
  it.each(["plain", "TLS"])("finds no fault: %s", async (kind) => {
    const where =
      kind === "TLS" ? ["--tls", "--insecure", "--port", String(ours.tlsPort)] : ["--port", String(ours.port)];
    const { output } = await run(join(bin, "h2spec"), ["--strict", "--path", "/version", ...where]);
    expect(output).toMatch(/146 tests, 146 passed, 0 skipped, 0 failed/);
  });
});

describe("Go's client", () => {
  it.each(["plain", "TLS"])("gets what it expects: %s", async (kind) => {
    const words = kind === "TLS" ? ["-ca", files.cert, `localhost:${ours.tlsPort}`] : [`127.0.0.1:${ours.port}`];
    const { code, output } = await run(join(bin, "grpcpeer"), ["client", ...words]);
    expect(output.split("\n").filter((line) => line.startsWith("fail"))).toEqual([]);
    expect(output.split("\n").filter((line) => line.startsWith("ok"))).toHaveLength(12);
    expect(code).toBe(0);
  });
});

/** What our channel expects of a server of the test service, whoever wrote it. */
function checkChannel(open: () => Promise<{ channel: GrpcChannel; close(): Promise<void> }>): void {
  let channel: GrpcChannel;
  let stop: () => Promise<void>;
  beforeAll(async () => {
    const opened = await open();
    channel = opened.channel;
    stop = opened.close;
    await channel.connect();
  });
  afterAll(async () => {
    channel.close();
    await stop();
  });

  async function ask(method: string, body: Uint8Array, more = {}): Promise<{ messages: string[]; status: unknown }> {
    const recording = record(channel, `/test.Echo/${method}`, more);
    recording.call.sendLast(body.length, writer(body));
    const { code, message, trailers } = await recording.ended;
    return { messages: recording.messages, status: { code, message, trailers } };
  }

  it("unary calls of all sizes", async () => {
    for (const size of [0, 1, 16_379, 16_380, 65_536, 2_000_000]) {
      const { messages, status } = await ask("Unary", new Uint8Array(size).fill(0x61));
      expect(status).toMatchObject({ code: 0 });
      expect(messages).toEqual([size > 100 ? `${size} bytes` : "a".repeat(size)]);
    }
  });

  it("statuses, texts and metadata", async () => {
    const body = new TextEncoder().encode("9 größer als 100%");
    const metadata = [
      ["x-text", "a b"],
      ["x-raw-bin", Uint8Array.of(0, 255, 7)],
    ];
    const { status } = await ask("Fail", body, { metadata });
    expect(status).toMatchObject({ code: 9, message: "größer als 100%" });
    const { trailers } = status as { trailers: [string, unknown][] };
    expect(trailers).toContainEqual(["x-text", "a b"]);
    expect(trailers.find(([name]) => name === "x-raw-bin")?.[1]).toEqual(Uint8Array.of(0, 255, 7));
  });

  it("unknown methods", async () => {
    expect((await ask("Nothing", new Uint8Array(0))).status).toMatchObject({ code: 12 });
  });

  it("a large stream from the server, taken slowly", async () => {
    const recording = record(channel, "/test.Echo/Many");
    const body = new Uint8Array(100_000).fill(200);
    recording.call.sendLast(body.length, writer(body));
    await recording.received(10);
    recording.call.pauseReceiving();
    await new Promise((resolve) => setTimeout(resolve, 50));
    recording.call.resumeReceiving();
    expect(await recording.ended).toMatchObject({ code: 0 });
    expect(recording.messages).toEqual(Array(200).fill("100000 bytes"));
  });

  it("a large stream to the server", async () => {
    const recording = record(channel, "/test.Echo/Collect");
    const body = new Uint8Array(50_000);
    for (let i = 0; i < 300; i++) {
      const drains = recording.drains;
      if (recording.call.send(body.length, writer(body))) continue;
      while (recording.drains === drains) await new Promise((resolve) => setImmediate(resolve));
    }
    recording.call.halfClose();
    expect(await recording.ended).toMatchObject({ code: 0 });
    expect(recording.messages).toEqual(["15000000"]);
  });

  it("streams both ways", async () => {
    const recording = record(channel, "/test.Echo/Bidi");
    for (let i = 0; i < 100; i++) {
      recording.call.send(1, writer(Uint8Array.of(0x61 + (i % 26))));
      await recording.received(i + 1);
    }
    recording.call.halfClose();
    expect(await recording.ended).toMatchObject({ code: 0 });
  });

  it("deadlines and cancellation", async () => {
    expect(await record(channel, "/test.Echo/Hang", { timeoutMs: 50 }).ended).toMatchObject({ code: 4 });
    const cancelled = record(channel, "/test.Echo/Hang");
    cancelled.call.cancel();
    expect(await cancelled.ended).toMatchObject({ code: 1 });
    expect((await ask("Unary", Uint8Array.of(0x62))).messages).toEqual(["b"]);
  });
}

describe("Go's server, plain", () => {
  checkChannel(async () => {
    const server = await GoServer.start();
    const channel = new GrpcChannel({ target: { host: "127.0.0.1", port: server.port } });
    return { channel, close: () => server.close() };
  });
});

describe("Go's server, TLS", () => {
  checkChannel(async () => {
    const server = await GoServer.start(["-cert", files.cert, "-key", files.key]);
    const tls = { ca: testCertificate().cert };
    const channel = new GrpcChannel({ target: { host: "127.0.0.1", port: server.port }, tls });
    return { channel, close: () => server.close() };
  });

  it("is drained by its graceful stop", async () => {
    const server = await GoServer.start();
    const channel = new GrpcChannel({ target: { host: "127.0.0.1", port: server.port } });
    await channel.connect();
    const open = record(channel, "/test.Echo/Bidi");
    open.call.send(1, writer(Uint8Array.of(0x63)));
    await open.received(1);
    const closed = server.close();
    while (channel.state === "ready") await new Promise((resolve) => setImmediate(resolve));
    open.call.halfClose();
    expect(await open.ended).toMatchObject({ code: 0 });
    await closed;
    while (channel.state !== "closed") await new Promise((resolve) => setImmediate(resolve));
  });
});

const identity = (bytes: Buffer): Buffer => bytes;

function method(name: string, requestStream: boolean, responseStream: boolean) {
  const codec = {
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  };
  return { path: `/test.Echo/${name}`, requestStream, responseStream, ...codec };
}

describe("grpc-js's server", () => {
  checkChannel(async () => {
    const server = new Server({ "grpc.max_receive_message_length": 4 << 20 });
    server.addService(
      {
        Unary: method("Unary", false, false),
        Fail: method("Fail", false, false),
        Many: method("Many", false, true),
        Collect: method("Collect", true, false),
        Bidi: method("Bidi", true, true),
        Hang: method("Hang", true, true),
      },
      {
        Unary: (call: { request: Buffer }, done: (error: null, answer: Buffer) => void) => done(null, call.request),
        Fail: (call: { request: Buffer; metadata: Metadata }, done: (error: Partial<ServiceError>) => void) => {
          const text = call.request.toString();
          const trailers = new Metadata();
          for (const name of ["x-text", "x-raw-bin"])
            for (const value of call.metadata.get(name)) trailers.add(name, value);
          done({ code: Number.parseInt(text, 10), details: text.slice(text.indexOf(" ") + 1), metadata: trailers });
        },
        Many: (call: { request: Buffer; write(b: Buffer): void; end(): void }) => {
          for (let i = 0; i < (call.request[0] ?? 0); i++) call.write(call.request);
          call.end();
        },
        Collect: (call: NodeJS.ReadableStream, done: (error: null, answer: Buffer) => void) => {
          let size = 0;
          call.on("data", (chunk) => {
            size += chunk.length;
          });
          call.on("end", () => done(null, Buffer.from(String(size))));
        },
        Bidi: (call: NodeJS.ReadWriteStream) => {
          call.on("data", (chunk) => call.write(chunk));
          call.on("end", () => call.end());
        },
        Hang: () => undefined,
      },
    );
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => {
        if (error) reject(error);
        else resolve(bound);
      });
    });
    const channel = new GrpcChannel({ target: { host: "127.0.0.1", port } });
    return { channel, close: async () => server.forceShutdown() };
  });
});

describe("grpc-js's client", () => {
  const ask = (client: Client, name: string, body: Buffer, options = {}): Promise<Buffer | ServiceError> =>
    new Promise((resolve) => {
      client.makeUnaryRequest(
        `/test.Echo/${name}`,
        identity,
        identity,
        body,
        new Metadata(),
        options,
        (error, answer) => resolve(error ?? (answer as Buffer)),
      );
    });

  it.each(["plain", "TLS"])("gets what it expects: %s", async (kind) => {
    const client =
      kind === "TLS"
        ? new Client(`localhost:${ours.tlsPort}`, credentials.createSsl(readFileSync(files.cert)))
        : new Client(`127.0.0.1:${ours.port}`, credentials.createInsecure());
    const large = Buffer.alloc(1_500_000, 7);
    expect(large.equals((await ask(client, "Unary", large)) as Buffer)).toBe(true);
    expect(await ask(client, "Fail", Buffer.from("7 näh"))).toMatchObject({ code: 7, details: "näh" });
    expect(await ask(client, "Hang", Buffer.alloc(0), { deadline: Date.now() + 50 })).toMatchObject({ code: 4 });
    const all = await Promise.all(Array.from({ length: 500 }, (_, i) => ask(client, "Unary", Buffer.from(String(i)))));
    expect(all.map(String)).toEqual(Array.from({ length: 500 }, (_, i) => String(i)));
    const stream = client.makeServerStreamRequest("/test.Echo/Many", identity, identity, Buffer.alloc(60_000, 100));
    let size = 0;
    for await (const chunk of stream) size += (chunk as Buffer).length;
    expect(size).toBe(6_000_000);
    const duplex = client.makeBidiStreamRequest("/test.Echo/Bidi", identity, identity);
    const answers: string[] = [];
    duplex.on("data", (chunk) => {
      answers.push(String(chunk));
      if (answers.length === 3) duplex.end();
      else duplex.write(Buffer.from(`m${answers.length}`));
    });
    duplex.write(Buffer.from("m0"));
    await new Promise((resolve) => duplex.on("end", resolve));
    expect(answers).toEqual(["m0", "m1", "m2"]);
    client.close();
  });
});

describe("curl", () => {
  it("speaks every protocol of the port", async () => {
    const plain = `http://127.0.0.1:${ours.port}/x?y=1`;
    const tls = `https://127.0.0.1:${ours.tlsPort}/x?y=1`;
    const body = ["--data", "b".repeat(100_000)];
    const ask = async (...words: string[]): Promise<string> => (await run("curl", ["-sS", ...words])).output;
    expect(await ask("--http1.1", plain)).toBe("HTTP/1.1 /x?y=1 0");
    expect(await ask("--http2-prior-knowledge", plain)).toBe("HTTP/2.0 /x?y=1 0");
    expect(await ask("--http1.1", ...body, plain)).toBe("HTTP/1.1 /x?y=1 100000");
    expect(await ask("--http2-prior-knowledge", ...body, plain)).toBe("HTTP/2.0 /x?y=1 100000");
    expect(await ask("--cacert", files.cert, "--http2", tls)).toBe("HTTP/2.0 /x?y=1 0");
    expect(await ask("--cacert", files.cert, "--http1.1", tls)).toBe("HTTP/1.1 /x?y=1 0");
    // An answer that does not wait for the body.
    expect(await ask("--http2-prior-knowledge", ...body, plain.replace("/x", "/early"))).toBe("early");
    // curl's own offer to upgrade a plain connection is not taken up.
    expect(await ask("--http2", plain)).toBe("HTTP/1.1 /x?y=1 0");
  });

  it("makes a gRPC call", async () => {
    const fields = ["-H", "content-type: application/grpc", "-H", "te: trailers"];
    const words = ["-sS", "--http2-prior-knowledge", ...fields, "--data-binary", "@-", "-D", "-"];
    const output = await new Promise<string>((resolve) => {
      const url = `http://127.0.0.1:${ours.port}/test.Echo/Unary`;
      const child = execFile("curl", [...words, url], (_error, stdout) => resolve(stdout));
      child.stdin?.end(Buffer.concat([Buffer.from([0, 0, 0, 0, 5]), Buffer.from("hello")]));
    });
    expect(output).toContain("HTTP/2 200");
    expect(output).toContain("hello");
    expect(output).toContain("grpc-status: 0");
  });
});
