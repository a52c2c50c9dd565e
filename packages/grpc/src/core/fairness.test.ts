/** Who may send when: control frames first, then one frame of each stream in turn. */
import { describe, expect, it } from "vitest";
import type { ServerCall, ServiceTable } from "../call.js";
import { headers, ping, requestPairs, splitFrames, windowUpdate } from "../testing/frames.js";
import { MemoryServer } from "../testing/memory-server.js";
import { sendBytes } from "../testing/tables.js";
import { FrameType, framePayloadBytesMax } from "./protocol.js";

const rangeBytes = 10_000_000;
const rangeCount = 10;
const socketBytes = 256 * 1024;

/** Ten answers of 10 MB wait on streams 3, 5, …; stream 1 is a watch. */
function busy(): { server: MemoryServer; watch: ServerCall } {
  const watches: ServerCall[] = [];
  const services: ServiceTable = new Map([
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
    [
      "/t.T/Range",
      {
        kind: "stream",
        open: (call: ServerCall) => {
          call.respond(rangeBytes, () => undefined);
          return { onMessage: () => undefined, onHalfClose: () => undefined };
        },
      },
    ],
  ]);
  const server = MemoryServer.started({ services }, { 4: 0x7fff_ffff });
  server.receive(windowUpdate(0, 0x7000_0000), headers(1, requestPairs("/t.T/Watch")));
  const watch = watches[0] as ServerCall;
  sendBytes(watch, new Uint8Array(1));
  server.frames();
  server.draining = false;
  for (let i = 0; i < rangeCount; i++)
    server.receive(headers(3 + 2 * i, requestPairs("/t.T/Range"), { endStream: true }));
  return { server, watch };
}

describe("ten ranges of 10 MB beside a watch", () => {
  it("fill the socket, and no more", () => {
    const { server } = busy();
    const first = server.flush().length;
    expect(first).toBeGreaterThanOrEqual(socketBytes);
    expect(first).toBeLessThan(socketBytes + 2 * framePayloadBytesMax);
    expect(server.flush()).toHaveLength(0);
  });

  it("let an event pass behind one frame of each", () => {
    const { server, watch } = busy();
    let inFlight = server.flush().length;
    for (let round = 0; round < 100; round++) {
      sendBytes(watch, new Uint8Array(100));
      let before = 0;
      let seen = false;
      while (!seen) {
        // The socket lets go of a little at a time.
        server.server.connection.sent(20_000);
        inFlight -= 20_000;
        const bytes = server.flush();
        inFlight += bytes.length;
        expect(inFlight).toBeLessThan(socketBytes + 2 * framePayloadBytesMax);
        for (const one of splitFrames(bytes).frames) {
          if (one.streamId === 1) seen = true;
          else if (!seen && one.type === FrameType.data) before++;
        }
      }
      expect(before).toBeLessThanOrEqual(rangeCount);
    }
  });

  it("are not held up by many small messages of one turn either", () => {
    const { server, watch } = busy();
    server.draining = true;
    for (let i = 0; i < 100; i++) sendBytes(watch, new Uint8Array(4000));
    const order = splitFrames(server.flush()).frames.filter(({ type }) => type === FrameType.data);
    expect(order.slice(0, rangeCount + 1).filter(({ streamId }) => streamId === 1).length).toBeLessThanOrEqual(1);
  });

  it("get equal shares", () => {
    const { server } = busy();
    server.draining = true;
    const shares = new Map<number, number>();
    for (let i = 0; i < 20; i++) {
      for (const one of splitFrames(server.flush()).frames) {
        if (one.type === FrameType.data) shares.set(one.streamId, (shares.get(one.streamId) ?? 0) + 1);
      }
    }
    const counts = [...shares.values()];
    expect(counts).toHaveLength(rangeCount);
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(2);
  });

  it("do not hold up the answer to a PING", () => {
    const { server } = busy();
    server.flush();
    server.receive(ping(7));
    const frames = splitFrames(server.flush()).frames;
    expect(frames.map(({ type }) => type)).toEqual([FrameType.ping]);
  });

  it("leave whole", () => {
    const { server } = busy();
    server.draining = true;
    const sizes = new Map<number, number>();
    for (const one of server.frames()) {
      if (one.type === FrameType.data) sizes.set(one.streamId, (sizes.get(one.streamId) ?? 0) + one.payload.length);
    }
    expect([...sizes.values()]).toEqual(Array(rangeCount).fill(rangeBytes + 5));
    expect(server.server.connection.streamCount).toBe(1);
  });
});
