/**
 * What gRPC servers say to requests that are wrong, Go etcd's words beside ours: the same frames to both.
 */
import { connect } from "node:net";
import { join } from "node:path";
import { GrpcServer, type ServerCall, type ServiceTable, StatusCode } from "@etcd-ts/grpc";
import { afterAll, beforeAll, expect, it } from "vitest";
import { clientPreface } from "../../packages/grpc/src/core/protocol.js";
import {
  concat,
  data,
  FrameDescriber,
  headers,
  message,
  type Pairs,
  requestPairs,
  settings,
  settingsAck,
  splitFrames,
} from "../../packages/grpc/src/testing/frames.js";
import { Member } from "../interop/support/member.js";

let member: Member;
let server: GrpcServer;
let ports: { readonly go: number; readonly ours: number };

beforeAll(async () => {
  member = await Member.start({ name: "go", command: [join(import.meta.dirname, "../interop/bin/etcd")], flags: [] });
  const services: ServiceTable = new Map([
    ["/etcdserverpb.KV/Range", { kind: "request", handle: (call: ServerCall) => call.respond(0, () => undefined) }],
    [
      "/etcdserverpb.Watch/Watch",
      {
        kind: "stream",
        open: (call: ServerCall) => ({
          onMessage: () => undefined,
          onHalfClose: () => call.end({ code: StatusCode.ok, message: "" }),
        }),
      },
    ],
  ]);
  server = new GrpcServer({ services });
  const ours = (await server.listen({ host: "127.0.0.1", port: 0 })) as { port: number };
  ports = { go: Number(new URL(`http://${member.endpoint.replace(/^http:\/\//, "")}`).port), ours: ours.port };
});

afterAll(async () => {
  await server.close(0);
  await member.close();
});

/** Sends frames on a fresh connection and returns what concerns stream 1, until it ends. */
function ask(port: number, frames: readonly Uint8Array[]): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const describer = new FrameDescriber();
    const socket = connect(port, "127.0.0.1");
    const said: string[] = [];
    let rest: Uint8Array = new Uint8Array(0);
    socket.on("error", reject);
    socket.on("close", () => resolve(said));
    socket.on("data", (chunk) => {
      const split = splitFrames(concat(rest, chunk));
      rest = split.rest;
      for (const one of split.frames) {
        const words = describer.describe(one);
        if (one.streamId === 1) said.push(words);
        if (one.streamId === 1 && (words.endsWith(" end") || words.startsWith("resetStream"))) socket.destroy();
      }
    });
    socket.write(concat(clientPreface, settings(), settingsAck, ...frames));
  });
}

function changed(path: string, pairs: Pairs): Pairs {
  const usual = requestPairs(path).filter(([name]) => !pairs.some(([other]) => other === name));
  const all = [...usual, ...pairs].filter(([, value]) => value !== "-");
  return [...all.filter(([name]) => name.startsWith(":")), ...all.filter(([name]) => !name.startsWith(":"))];
}

const range = "/etcdserverpb.KV/Range";
const watch = "/etcdserverpb.Watch/Watch";
const empty = message("");

/**
 * Whether a server that has answered also says that it wants no more depends on how much of the request it had read;
 * it means nothing to the client.
 */
function withoutFarewell(said: readonly string[]): readonly string[] {
  return said.filter((line) => line !== "resetStream 1 NO_ERROR");
}

it.each<[name: string, pairs: Pairs, body: Uint8Array]>([
  ["no message", [[":path", range]], new Uint8Array(0)],
  ["half a prefix", [[":path", range]], empty.slice(0, 3)],
  ["half a message", [[":path", range]], message("abcdef").slice(0, 8)],
  ["half a message on a stream", [[":path", watch]], message("abcdef").slice(0, 8)],
  ["a message that is too large", [[":path", range]], Uint8Array.of(0, 0x10, 0, 0, 0)],
  ["a message that is too large on a stream", [[":path", watch]], Uint8Array.of(0, 0x10, 0, 0, 0)],
  ["a compressed message, unannounced", [[":path", range]], message("a", { compressed: true })],
  ["an unknown format", [[":path", range]], Uint8Array.of(7, 0, 0, 0, 0)],
  [
    "an unknown encoding",
    [
      [":path", range],
      ["grpc-encoding", "lz4"],
    ],
    empty,
  ],
  [
    "bad gzip",
    [
      [":path", range],
      ["grpc-encoding", "gzip"],
    ],
    message("not gzip at all", { compressed: true }),
  ],
  ["an unknown service", [[":path", "/no.Such/M"]], empty],
  ["an unknown method", [[":path", "/etcdserverpb.KV/No"]], empty],
  ["a path without a method", [[":path", "/abc"]], empty],
  ["a path without a slash", [[":path", "abc"]], empty],
  [
    "another content type",
    [
      [":path", range],
      ["content-type", "text/plain"],
    ],
    empty,
  ],
  [
    "no content type",
    [
      [":path", range],
      ["content-type", "-"],
    ],
    empty,
  ],
  [
    "a subtype",
    [
      [":path", "/no.Such/M"],
      ["content-type", "application/grpc+proto"],
    ],
    empty,
  ],
  [
    "GET",
    [
      [":path", range],
      [":method", "GET"],
    ],
    empty,
  ],
  [
    "a bad timeout",
    [
      [":path", range],
      ["grpc-timeout", "5x"],
    ],
    empty,
  ],
  [
    "a short timeout",
    [
      [":path", range],
      ["grpc-timeout", "S"],
    ],
    empty,
  ],
  [
    "a long timeout",
    [
      [":path", range],
      ["grpc-timeout", "123456789S"],
    ],
    empty,
  ],
  [
    "a timeout without a number",
    [
      [":path", range],
      ["grpc-timeout", "-1S"],
    ],
    empty,
  ],
  [
    "a timeout of nothing",
    [
      [":path", range],
      ["grpc-timeout", "0S"],
    ],
    empty,
  ],
  [
    "bad binary metadata",
    [
      [":path", range],
      ["x-bin", "a!"],
    ],
    empty,
  ],
  [
    "two hosts",
    [
      [":path", range],
      ["host", "a"],
      ["host", "b"],
    ],
    empty,
  ],
  [
    "no authority",
    [
      [":path", range],
      [":authority", "-"],
    ],
    empty,
  ],
])("%s", async (_name, pairs, body) => {
  const frames = [headers(1, changed("", pairs)), data(1, body, { endStream: true })];
  expect(withoutFarewell(await ask(ports.ours, frames))).toEqual(withoutFarewell(await ask(ports.go, frames)));
});
