/** What a hostile client can do to one connection. Source: the CVEs named; RFC 9113 §10.5. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import type { ServerCall, ServiceTable } from "../call.js";
import {
  block,
  concat,
  data,
  frame,
  headers,
  message,
  ping,
  request,
  requestPairs,
  reset,
  settings,
  windowUpdate,
} from "../testing/frames.js";
import { MemoryServer } from "../testing/memory-server.js";
import { echoTable, sendBytes } from "../testing/tables.js";
import { serverLimits } from "./limits.js";
import { clientPreface, ErrorCode, Flag, FrameType } from "./protocol.js";
import { TimerWheel } from "./timer-wheel.js";

const services = echoTable();

/** Sends what `attack` makes until the connection is over; says how many it took. */
function until(server: MemoryServer, attack: (i: number) => Uint8Array, max = 10_000): number {
  for (let i = 0; i < max; i++) {
    if (server.over !== undefined) return i;
    server.receive(attack(i));
    server.flush();
  }
  return max;
}

describe("floods end with ENHANCE_YOUR_CALM", () => {
  const cases: [name: string, attack: (i: number) => Uint8Array][] = [
    [
      "rapid reset (CVE-2023-44487)",
      (i) => concat(headers(2 * i + 1, requestPairs("/test.Echo/Hang")), reset(2 * i + 1, ErrorCode.cancel)),
    ],
    [
      "resets that the client makes the server send (MadeYouReset, CVE-2025-8671)",
      (i) => concat(headers(2 * i + 1, requestPairs("/test.Echo/Hang")), windowUpdate(2 * i + 1, 0)),
    ],
    [
      "resets by half-closed streams that go on",
      (i) =>
        concat(
          headers(2 * i + 1, requestPairs("/test.Echo/Hang"), { endStream: true }),
          data(2 * i + 1, new Uint8Array(1)),
        ),
    ],
    ["empty DATA frames (CVE-2019-9518)", () => data(1, new Uint8Array(0))],
    ["PRIORITY frames (CVE-2019-9513)", () => frame(FrameType.priority, 0, 1, new Uint8Array(5))],
    ["SETTINGS frames (CVE-2019-9515)", () => settings({ 4: 1000 })],
    ["PINGs (CVE-2019-9512)", (i) => ping(i)],
    ["PING answers to nothing", (i) => ping(i, { ack: true })],
    ["frames of unknown types", () => frame(0x77, 0, 0, new Uint8Array(3))],
  ];

  it.each(cases)("%s", (_name, attack) => {
    const server = MemoryServer.started({ services });
    server.receive(headers(1, requestPairs("/test.Echo/Hang")));
    const first = attack === cases[0]?.[1] || attack === cases[1]?.[1] || attack === cases[2]?.[1] ? 1 : 0;
    const count = until(server, (i) => attack(i + first));
    expect(count).toBeLessThanOrEqual(1002);
    expect(server.over).toContain("ENHANCE_YOUR_CALM");
  });

  it("but not what a busy client does in the long run: 30 resets a second", () => {
    const server = MemoryServer.started({ services });
    for (let i = 0; i < 5000; i++) {
      server.nowMs += 33;
      const id = 2 * i + 1;
      server.receive(headers(id, requestPairs("/test.Echo/Hang")), reset(id, ErrorCode.cancel));
      server.flush();
    }
    expect(server.over).toBeUndefined();
  });
});

describe("headers", () => {
  it("ends a connection at a flood of CONTINUATION frames (CVE-2023-45288)", () => {
    for (const size of [0, 1, 10_000]) {
      const server = MemoryServer.started({ services });
      server.receive(frame(FrameType.headers, 0, 1, block(requestPairs("/test.Echo/Hang"))));
      const count = until(server, () => frame(FrameType.continuation, 0, 1, new Uint8Array(size)));
      expect(count).toBeLessThan(40);
      expect(server.over).toContain("ENHANCE_YOUR_CALM");
    }
  });

  it("refuses a header list that is too large or too long, and goes on", () => {
    const server = MemoryServer.started({ services });
    const large = requestPairs("/test.Echo/Unary", [["x-large", "v".repeat(16_200)]]);
    server.receive(headers(1, large, { endStream: true }));
    const many = Array.from({ length: 100 }, (_, i): [string, string] => [`x-${i}`, ""]);
    server.receive(headers(3, requestPairs("/test.Echo/Unary", many), { endStream: true }));
    server.receive(request(5, "/test.Echo/Unary", "a"));
    const said = server.said();
    expect(said.slice(0, 2)).toEqual(["resetStream 1 FRAME_SIZE_ERROR", "resetStream 3 FRAME_SIZE_ERROR"]);
    expect(said.at(-1)).toBe("headers 5 grpc-status=0 end");
  });

  it("ends a connection whose header block cannot be read", () => {
    const server = MemoryServer.started({ services });
    server.receive(frame(FrameType.headers, Flag.endHeaders, 1, Uint8Array.of(0x80)));
    expect(server.over).toBe("COMPRESSION_ERROR: bad header block");
  });

  it("refuses streams above the maximum, and takes new ones when others end", () => {
    const server = MemoryServer.started({ services, limits: { streamsMax: 2 } });
    for (const id of [1, 3, 5]) server.receive(headers(id, requestPairs("/test.Echo/Hang")));
    expect(server.said()).toEqual(["resetStream 5 REFUSED_STREAM"]);
    server.receive(reset(1, ErrorCode.cancel), request(7, "/test.Echo/Unary", "a"));
    expect(server.said().at(-1)).toBe("headers 7 grpc-status=0 end");
  });

  it.each([
    ["upper case", [["X-Upper", "1"]]],
    ["a line break", [["x", "a\nb"]]],
    ["a connection field", [["connection", "close"]]],
    ["another te", [["te", "gzip"]]],
    ["a pseudo field at the end", [[":path", "/x"]]],
    ["an unknown pseudo field", [[":x", ""]]],
  ] as const)("resets a request with %s", (_name, more) => {
    const server = MemoryServer.started({ services });
    server.receive(headers(1, requestPairs("/test.Echo/Unary", more), { endStream: true }));
    expect(server.said()).toEqual(["resetStream 1 PROTOCOL_ERROR"]);
  });

  it("takes metadata that is not UTF-8 as it is", () => {
    const server = MemoryServer.started({ services });
    server.receive(request(1, "/test.Echo/Fail", "3 x", [["x-odd", "\xff\xfe"]]));
    expect(server.said()[0]).toContain("x-odd=\xff\xfe");
  });
});

describe("windows", () => {
  it.each([
    ["the connection's", windowUpdate(0, 0x7fff_ffff), "FLOW_CONTROL_ERROR: connection window too large"],
    [
      "all streams'",
      settings({ 4: 0x7fff_ffff }),
      "FLOW_CONTROL_ERROR: SETTINGS_INITIAL_WINDOW_SIZE overflows a window",
    ],
    ["beyond 2^31", settings({ 4: 0x8000_0000 }), "FLOW_CONTROL_ERROR: bad SETTINGS_INITIAL_WINDOW_SIZE"],
  ])("ends a connection that overflows %s window", (_name, bytes, why) => {
    const server = MemoryServer.started({ services });
    server.receive(headers(1, requestPairs("/test.Echo/Hang")), windowUpdate(1, 1));
    server.receive(bytes);
    expect(server.over).toBe(why);
  });

  it("resets a stream that overflows its window", () => {
    const server = MemoryServer.started({ services });
    server.receive(headers(1, requestPairs("/test.Echo/Hang")), windowUpdate(1, 0x7fff_ffff));
    expect(server.said()).toEqual(["resetStream 1 FLOW_CONTROL_ERROR"]);
  });

  it("ends a connection that sends more than its window", () => {
    const limits = { streamWindowBytes: 1_000_000, connectionWindowBytes: 70_000 };
    const calls: ServerCall[] = [];
    const table: ServiceTable = new Map([
      [
        "/t.T/S",
        {
          kind: "stream",
          open: (call: ServerCall) => {
            calls.push(call);
            call.pauseReceiving();
            return { onMessage: () => undefined, onHalfClose: () => undefined };
          },
        },
      ],
    ]);
    const server = MemoryServer.started({ services: table, limits });
    server.receive(headers(1, requestPairs("/t.T/S")));
    const count = until(server, () => data(1, new Uint8Array(10_000)));
    expect(count).toBe(8);
    expect(server.over).toBe("FLOW_CONTROL_ERROR: connection window exceeded");
  });
});

describe("slowness", () => {
  it("ends a connection that does not finish its preface, or says nothing", () => {
    for (const bytes of [new Uint8Array(0), clientPreface.slice(0, 5), clientPreface]) {
      const server = new MemoryServer({ services });
      server.receive(bytes).advance(9000);
      expect(server.over).toBeUndefined();
      server.advance(4000);
      expect(server.over).toContain("no SETTINGS in time");
    }
  });

  it("ends a connection that does not finish a frame or a header block", () => {
    const whole = headers(1, requestPairs("/test.Echo/Hang"));
    const unfinished = [whole.slice(0, 4), whole.slice(0, 20), frame(FrameType.headers, 0, 1, new Uint8Array(0))];
    for (const bytes of unfinished) {
      const server = MemoryServer.started({ services });
      server.receive(bytes).advance(25_000);
      expect(server.over).toBeUndefined();
      server.advance(10_000);
      expect(server.over).toContain("a frame was not finished in time");
    }
  });

  it("does not mind chunks that all end within a frame, as long as frames end", () => {
    const server = MemoryServer.started({ services });
    server.receive(headers(1, requestPairs("/test.Echo/Hang")));
    const bytes = concat(...Array.from({ length: 60 }, () => data(1, message("x".repeat(91)))));
    const size = bytes.length / 60;
    server.receive(bytes.slice(0, 50));
    for (let i = 0; i < 59; i++) {
      server.receive(bytes.slice(50 + i * size, 50 + (i + 1) * size)).advance(2000);
      server.flush();
    }
    expect(server.over).toBeUndefined();
    server.advance(40_000);
    expect(server.over).toContain("a frame was not finished in time");
  });

  it("resets a call whose message does not come, but not a stream that waits", () => {
    const server = MemoryServer.started({ services });
    server.receive(headers(1, requestPairs("/test.Echo/Unary")));
    server.receive(headers(3, requestPairs("/test.Echo/Unary")), data(3, message("abc").slice(0, 7)));
    server.receive(headers(5, requestPairs("/test.Echo/Hang")));
    server.receive(headers(7, requestPairs("/test.Echo/Hang")), data(7, message("abc").slice(0, 3)));
    server.advance(55_000);
    expect(server.said()).toEqual([]);
    server.advance(12_000);
    expect(server.said()).toEqual(["resetStream 1 CANCEL", "resetStream 3 CANCEL", "resetStream 7 CANCEL"]);
    expect(server.over).toBeUndefined();
  });

  it("stops framing when the socket takes nothing", () => {
    const server = MemoryServer.started({ services }, { 4: 0x7fff_ffff });
    server.receive(windowUpdate(0, 0x7000_0000));
    server.draining = false;
    for (let i = 0; i < 50; i++) server.receive(request(2 * i + 1, "/test.Echo/Many", "\u0008".repeat(16_000)));
    let framed = 0;
    for (let i = 0; i < 20; i++) framed += server.flush().length;
    expect(framed).toBeGreaterThanOrEqual(256 * 1024);
    expect(framed).toBeLessThan(300 * 1024);
    expect(server.server.connection.congested).toBe(false);
  });

  it("asks to go on when the socket takes bytes again, also for a status alone", () => {
    const server = MemoryServer.started({ services, limits: { socketBytesMax: 1000 } });
    server.draining = false;
    server.receive(request(1, "/test.Echo/Unary", "x".repeat(2000)));
    const framed = server.flush().length;
    expect(framed).toBeGreaterThan(2000);
    server.receive(request(3, "/test.Echo/Fail", "5 gone"));
    expect(server.flush()).toHaveLength(0);
    const wakes = server.wakes;
    server.server.connection.sent(framed);
    expect(server.wakes).toBe(wakes + 1);
    expect(server.said().at(-1)).toContain("headers 3 :status=200");
  });

  it("wants to read no more when answers to control frames pile up", () => {
    const limits = {
      socketBytesMax: 0,
      controlBytesMax: 1000,
      keepalive: { ...serverLimits.keepalive, minClientIntervalMs: 0 },
    };
    const server = MemoryServer.started({ services, limits });
    server.receive(headers(1, requestPairs("/test.Echo/Hang")));
    server.draining = false;
    let count = 0;
    while (!server.server.connection.congested && count < 5000) {
      server.receive(ping(count++));
      server.flush();
    }
    expect(count * 17).toBeGreaterThan(1000);
    expect(count * 17).toBeLessThan(20_000);
  });
});

describe("memory", () => {
  it("bounds parts of unfinished messages over all streams", () => {
    const limits = { partialMessageBytesMax: 40_000 };
    const server = MemoryServer.started({ services, limits });
    const part = concat(Uint8Array.of(0, 0, 0x1f, 0xff, 0xff), new Uint8Array(15_000));
    for (const id of [1, 3, 5]) server.receive(headers(id, requestPairs("/test.Echo/Unary")), data(id, part));
    expect(server.said()[0]).toContain("headers 5 :status=200 content-type=application/grpc grpc-status=8");
    // What ended is no longer counted.
    expect(server.server.connection.partialMessageBytes).toBe(2 * 15_005);
    server.receive(reset(1, ErrorCode.cancel), reset(3, ErrorCode.cancel));
    expect(server.server.connection.partialMessageBytes).toBe(0);
  });

  it("keeps nothing of a connection that it has ended", async () => {
    setFlagsFromString("--expose-gc");
    const gc = runInNewContext("gc") as () => void;
    const wheel = new TimerWheel(0);
    const attack = (bytes: Uint8Array): WeakRef<object> => {
      const server = MemoryServer.started({ services, wheel });
      server.receive(request(1, "/test.Echo/Hang", "", [["grpc-timeout", "1H"]]), bytes);
      expect(server.over).toBeDefined();
      server.flush();
      return new WeakRef(server.server.connection);
    };
    const refs = [windowUpdate(0, 0x7fff_ffff), frame(FrameType.headers, 0, 0), frame(FrameType.ping, 0, 0)].map(
      attack,
    );
    await new Promise((resolve) => setImmediate(resolve));
    gc();
    expect(refs.map((ref) => ref.deref())).toEqual([undefined, undefined, undefined]);
    wheel.advance(1);
    wheel.advance(100);
    expect(wheel.wakeAtMs).toBe(Number.POSITIVE_INFINITY);
  });

  it("forgets a stream's data when the client resets it", () => {
    const calls: ServerCall[] = [];
    const table: ServiceTable = new Map([
      [
        "/t.T/S",
        {
          kind: "stream",
          open: (call: ServerCall) => {
            calls.push(call);
            return { onMessage: () => undefined, onHalfClose: () => undefined };
          },
        },
      ],
    ]);
    const server = MemoryServer.started({ services: table, limits: { unsentConnectionBytesMax: 100_000 } }, { 4: 0 });
    for (let i = 0; i < 100; i++) {
      const id = 2 * i + 1;
      server.receive(headers(id, requestPairs("/t.T/S")));
      for (let k = 0; k < 5; k++) sendBytes(calls[i] as ServerCall, new Uint8Array(10_000));
      expect(calls[i]?.ended).toBe(false);
      server.receive(reset(id, ErrorCode.cancel));
      server.flush();
    }
  });
});
