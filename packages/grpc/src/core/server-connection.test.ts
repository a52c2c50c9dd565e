import { describe, expect, it } from "vitest";
import { type ServerCall, type ServiceTable, type Status, StatusCode } from "../call.js";
import type { HttpExchange } from "../http.js";
import {
  concat,
  data,
  frame,
  goAway,
  headers,
  message,
  type Pairs,
  ping,
  request,
  requestPairs,
  reset,
  settings,
  windowUpdate,
} from "../testing/frames.js";
import { MemoryServer, type MemoryServerOptions } from "../testing/memory-server.js";
import { echoTable, sendBytes } from "../testing/tables.js";
import { clientPreface, ErrorCode, FrameType } from "./protocol.js";

const echo: MemoryServerOptions = { services: echoTable() };
const headWords = ":status=200 content-type=application/grpc";

/** A table of one streaming method whose calls the test holds. */
function held(): { services: ServiceTable; calls: ServerCall[]; log: string[] } {
  const calls: ServerCall[] = [];
  const log: string[] = [];
  const services: ServiceTable = new Map([
    [
      "/t.T/Stream",
      {
        kind: "stream",
        open: (call: ServerCall) => {
          calls.push(call);
          call.onCancel((status: Status) => log.push(`cancel ${status.code} ${status.message}`));
          call.onDrain(() => log.push("drain"));
          return {
            onMessage: (bytes: Uint8Array) => log.push(`message ${bytes.length}`),
            onHalfClose: () => log.push("half-close"),
          };
        },
      },
    ],
  ]);
  return { services, calls, log };
}

/** A unary request in several DATA frames. */
function largeRequest(streamId: number, path: string, size: number): Uint8Array {
  const body = message(new Uint8Array(size));
  const parts = [headers(streamId, requestPairs(path))];
  for (let at = 0; at < body.length; at += 16_384) {
    parts.push(data(streamId, body.slice(at, at + 16_384), { endStream: at + 16_384 >= body.length }));
  }
  return concat(...parts);
}

describe("settings and preface", () => {
  it("answers the preface with its settings and window, and acknowledges the client's", () => {
    const server = new MemoryServer();
    expect(server.said()).toEqual(["settings 4=524288 6=16384 3=1000", "windowUpdate +8323073"]);
    server.receive(clientPreface, settings({ 4: 1000 }));
    expect(server.said()).toEqual(["settings ack"]);
  });

  it("takes the preface in pieces", () => {
    const server = new MemoryServer(echo);
    for (const byte of concat(clientPreface, settings(), request(1, "/test.Echo/Unary", "a"))) {
      server.receive(Uint8Array.of(byte));
    }
    expect(server.said().at(-1)).toBe("headers 1 grpc-status=0 end");
  });

  it.each([
    ["another preface", concat(clientPreface.slice(0, 10), Uint8Array.of(0)), "bad connection preface"],
    ["another first frame", concat(clientPreface, ping(1)), "the first frame is not SETTINGS"],
  ])("ends the connection at %s", (_name, bytes, why) => {
    const server = new MemoryServer();
    server.receive(bytes);
    expect(server.said().at(-1)).toBe(`goAway 0 PROTOCOL_ERROR ${why}`);
    expect(server.over).toBe(`PROTOCOL_ERROR: ${why}`);
  });
});

describe("gRPC calls", () => {
  it("answers a unary call with headers, message and trailers", () => {
    const server = MemoryServer.started(echo);
    server.receive(request(1, "/test.Echo/Unary", "hello"));
    expect(server.said()).toEqual([
      `headers 1 ${headWords}`,
      'data 1 "\\u0000\\u0000\\u0000\\u0000\\u0005hello"',
      "headers 1 grpc-status=0 end",
    ]);
    expect(server.server.connection.streamCount).toBe(0);
  });

  it("answers an error with trailers only, percent-encoded", () => {
    const server = MemoryServer.started(echo);
    server.receive(request(1, "/test.Echo/Fail", "5 50%", [["x-note", "kept"]]));
    expect(server.said()).toEqual([`headers 1 ${headWords} grpc-status=5 grpc-message=50%25 x-note=kept end`]);
  });

  it("keeps the subtype of the content type", () => {
    const server = MemoryServer.started(echo);
    const pairs = requestPairs("/test.Echo/Unary").map(([name, value]): [string, string] => [
      name,
      name === "content-type" ? "application/grpc+proto" : value,
    ]);
    server.receive(headers(1, pairs), data(1, message(""), { endStream: true }));
    expect(server.said()[0]).toBe("headers 1 :status=200 content-type=application/grpc+proto");
  });

  it.each<[string, Pairs, string]>([
    [
      "no such service",
      [[":path", "/a.B/C"]],
      ":status=200 content-type=application/grpc grpc-status=12 grpc-message=unknown service a.B",
    ],
    [
      "no such method",
      [[":path", "/test.Echo/No"]],
      ":status=200 content-type=application/grpc grpc-status=12 grpc-message=unknown method No for service test.Echo",
    ],
    [
      "no method name",
      [[":path", "/abc"]],
      ':status=200 content-type=application/grpc grpc-status=12 grpc-message=malformed method name: "/abc"',
    ],
    [
      "another content type",
      [["content-type", "text/plain"]],
      ':status=415 content-type=application/grpc grpc-status=3 grpc-message=invalid gRPC request content-type "text/plain"',
    ],
    [
      "another HTTP method",
      [[":method", "GET"]],
      ':status=405 content-type=application/grpc grpc-status=13 grpc-message=Received a HEADERS frame with :method "GET" which should be POST',
    ],
    [
      "a bad timeout",
      [["grpc-timeout", "1x"]],
      ':status=400 content-type=application/grpc grpc-status=13 grpc-message=malformed grpc-timeout: transport: timeout unit is not recognized: "1x"',
    ],
    [
      "a timeout of nothing",
      [["grpc-timeout", "0S"]],
      ":status=200 content-type=application/grpc grpc-status=4 grpc-message=context deadline exceeded",
    ],
    [
      "bad binary metadata",
      [["x-bin", "a!"]],
      ':status=400 content-type=application/grpc grpc-status=13 grpc-message=malformed binary metadata "a!" in header "x-bin": illegal base64 data at input byte 1',
    ],
    [
      "an unknown encoding",
      [["grpc-encoding", "lz4"]],
      ':status=200 content-type=application/grpc grpc-status=12 grpc-message=grpc: Decompressor is not installed for grpc-encoding "lz4"',
    ],
    [
      "two hosts",
      [
        ["host", "a"],
        ["host", "b"],
      ],
      ":status=400 content-type=application/grpc grpc-status=13 grpc-message=num values of :authority: 1, num values of host: 2, both must only have 1 value as per HTTP/2 spec",
    ],
  ])("refuses %s in grpc-go's words", (_name, changed, words) => {
    const server = MemoryServer.started(echo);
    const usual = requestPairs("/test.Echo/Unary").filter(([name]) => !changed.some(([other]) => other === name));
    const pairs = [...usual, ...changed].sort(([a], [b]) => Number(b.startsWith(":")) - Number(a.startsWith(":")));
    server.receive(headers(1, pairs), data(1, message("x"), { endStream: true }));
    expect(server.said()).toEqual([`headers 1 ${words} end`]);
  });

  it("refuses a request without a message, and one that is cut off", () => {
    const server = MemoryServer.started(echo);
    server.receive(headers(1, requestPairs("/test.Echo/Unary"), { endStream: true }));
    server.receive(
      headers(3, requestPairs("/test.Echo/Unary")),
      data(3, message("abc").slice(0, 6), { endStream: true }),
    );
    server.receive(
      headers(5, requestPairs("/test.Echo/Bidi")),
      data(5, message("abc").slice(0, 6), { endStream: true }),
    );
    expect(server.said()).toEqual([
      `headers 1 ${headWords} grpc-status=2 grpc-message=EOF end`,
      `headers 3 ${headWords} grpc-status=2 grpc-message=unexpected EOF end`,
      `headers 5 ${headWords} grpc-status=13 grpc-message=unexpected EOF end`,
    ]);
  });

  it("refuses messages above the limits in both directions", () => {
    const limits = { receiveMessageBytesMax: 10, sendMessageBytesMax: 4 };
    const server = MemoryServer.started({ ...echo, limits });
    server.receive(request(1, "/test.Echo/Unary", "01234567890"));
    server.receive(request(3, "/test.Echo/Unary", "01234"));
    expect(server.said()).toEqual([
      `headers 1 ${headWords} grpc-status=8 grpc-message=grpc: received message larger than max (11 vs. 10) end`,
      `headers 3 ${headWords} grpc-status=8 grpc-message=grpc: trying to send message larger than max (5 vs. 4) end`,
    ]);
  });

  it("inflates gzip up to the limit", () => {
    const gunzip = (bytes: Uint8Array, sizeMax: number): Uint8Array | "too large" | "invalid" => {
      const count = bytes[0] ?? 0;
      if (count === 0) return "invalid";
      return count > sizeMax ? "too large" : new Uint8Array(count).fill(0x7a);
    };
    const server = MemoryServer.started({ ...echo, gunzip, limits: { receiveMessageBytesMax: 10 } });
    const send = (streamId: number, byte: number): void => {
      const body = message(Uint8Array.of(byte), { compressed: true });
      const pairs = requestPairs("/test.Echo/Unary", [["grpc-encoding", "gzip"]]);
      server.receive(headers(streamId, pairs), data(streamId, body, { endStream: true }));
    };
    send(1, 3);
    send(3, 11);
    send(5, 0);
    const said = server.said();
    expect(said[1]).toContain("zzz");
    expect(said.slice(3)).toEqual([
      `headers 3 ${headWords} grpc-status=8 grpc-message=grpc: received message after decompression larger than max 10 end`,
      `headers 5 ${headWords} grpc-status=13 grpc-message=grpc: failed to decompress the message: gzip: invalid header end`,
    ]);
  });

  it("shows metadata, decoded", () => {
    const seen: unknown[] = [];
    const services: ServiceTable = new Map([
      [
        "/t.T/M",
        {
          kind: "request",
          handle: (call: ServerCall) => {
            seen.push(call.metadata, call.header("token"), call.header("x-bin"), call.timeoutMs, call.path, call.peer);
            call.end({ code: StatusCode.ok, message: "" });
          },
        },
      ],
    ]);
    const server = MemoryServer.started({ services });
    server.receive(
      request(1, "/t.T/M", "", [
        ["token", "a"],
        ["token", "b"],
        ["x-bin", "AQI"],
        ["grpc-timeout", "3S"],
      ]),
    );
    expect(seen).toEqual([
      [
        [":authority", "test"],
        ["token", "a"],
        ["token", "b"],
        ["x-bin", Uint8Array.of(1, 2)],
      ],
      "a",
      undefined,
      3000,
      "/t.T/M",
      { address: "test:1", tls: false, commonName: undefined },
    ]);
  });

  it("streams in both directions", () => {
    const server = MemoryServer.started(echo);
    server.receive(headers(1, requestPairs("/test.Echo/Bidi")), data(1, concat(message("a"), message("b"))));
    expect(server.said()).toEqual([
      `headers 1 ${headWords}`,
      'data 1 "\\u0000\\u0000\\u0000\\u0000\\u0001a"',
      'data 1 "\\u0000\\u0000\\u0000\\u0000\\u0001b"',
    ]);
    server.receive(data(1, new Uint8Array(0), { endStream: true }));
    expect(server.said()).toEqual(["headers 1 grpc-status=0 end"]);
  });

  it("tells the client to stop when it has its answer early, but only if it has not stopped by itself", () => {
    const server = MemoryServer.started(echo);
    server.receive(headers(1, requestPairs("/test.Echo/Unary")), data(1, message("a")));
    expect(server.said().slice(2)).toEqual(["headers 1 grpc-status=0 end", "resetStream 1 NO_ERROR"]);
    server.receive(
      headers(3, requestPairs("/test.Echo/Unary")),
      data(3, message("a")),
      data(3, new Uint8Array(0), { endStream: true }),
    );
    expect(server.said().slice(2)).toEqual(["headers 3 grpc-status=0 end"]);
    server.receive(data(1, new Uint8Array(10)), data(1, new Uint8Array(10), { endStream: true }));
    expect(server.said()).toEqual([]);
  });

  it("tells the handler when the client cancels, once", () => {
    const { services, calls, log } = held();
    const server = MemoryServer.started({ services });
    server.receive(headers(1, requestPairs("/t.T/Stream")), reset(1, ErrorCode.cancel));
    expect(log).toEqual(["cancel 1 context canceled"]);
    expect(calls[0]?.ended).toBe(true);
    calls[0]?.end({ code: StatusCode.ok, message: "" });
    expect(sendBytes(calls[0] as ServerCall, new Uint8Array(1))).toBe(false);
    server.server.connection.lost("gone");
    expect(log).toHaveLength(1);
    expect(server.said()).toEqual([]);
  });

  it("tells the handler when the connection is lost", () => {
    const { services, log } = held();
    const server = MemoryServer.started({ services });
    server.receive(headers(1, requestPairs("/t.T/Stream")));
    server.server.connection.lost("gone");
    expect(log).toEqual(["cancel 1 context canceled"]);
  });

  it("ends calls at their deadline", () => {
    const { services, calls, log } = held();
    const server = MemoryServer.started({ services });
    server.receive(headers(1, requestPairs("/t.T/Stream", [["grpc-timeout", "2S"]])));
    server.advance(1900);
    expect(server.said()).toEqual([]);
    server.advance(200);
    expect(server.said()).toEqual([
      `headers 1 ${headWords} grpc-status=4 grpc-message=context deadline exceeded end`,
      "resetStream 1 NO_ERROR",
    ]);
    expect(log).toEqual(["cancel 4 context deadline exceeded"]);
    expect(calls[0]?.ended).toBe(true);
  });

  it("does not let a finished call's deadline fire", () => {
    const server = MemoryServer.started(echo);
    server.receive(request(1, "/test.Echo/Unary", "a", [["grpc-timeout", "1S"]]));
    server.said();
    server.advance(5000);
    expect(server.said()).toEqual([]);
  });
});

describe("flow control", () => {
  const window = { 4: 100 };

  it("sends no more than the windows allow", () => {
    const server = MemoryServer.started(echo, window);
    server.receive(request(1, "/test.Echo/Unary", "x".repeat(250)));
    expect(server.said()).toEqual([`headers 1 ${headWords}`, "data 1 100 bytes"]);
    server.receive(windowUpdate(1, 100));
    expect(server.said()).toEqual(["data 1 100 bytes"]);
    server.receive(settings({ 4: 150 }));
    expect(server.said()).toEqual(["settings ack", "data 1 50 bytes"]);
    server.receive(windowUpdate(1, 1000));
    expect(server.said()).toEqual(['data 1 "xxxxx"', "headers 1 grpc-status=0 end"]);
  });

  it("holds streams back at the connection's window and lets them go in turn", () => {
    const server = MemoryServer.started(echo, { 4: 1_000_000 });
    for (const id of [1, 3]) server.receive(largeRequest(id, "/test.Echo/Unary", 60_000));
    const first = server.said();
    const sent = server.frames();
    expect(first.filter((line) => line.startsWith("data 1")).length).toBeGreaterThan(1);
    expect(first.filter((line) => line.startsWith("data 3")).length).toBeGreaterThan(1);
    expect(sent).toEqual([]);
    server.receive(windowUpdate(0, 200_000));
    expect(server.said().filter((line) => line.endsWith("grpc-status=0 end"))).toHaveLength(2);
  });

  it("gives windows back only for what the handler has consumed", () => {
    const { services, calls, log } = held();
    const limits = { streamWindowBytes: 1000, connectionWindowBytes: 70_000 };
    const server = MemoryServer.started({ services, limits });
    server.receive(headers(1, requestPairs("/t.T/Stream")));
    const call = calls[0] as ServerCall;
    server.receive(data(1, message("x".repeat(500))));
    expect(server.said()).toEqual(["windowUpdate 1 +505"]);
    call.pauseReceiving();
    server.receive(data(1, message("x".repeat(600))));
    expect(server.said()).toEqual([]);
    expect(log).toEqual(["message 500"]);
    call.resumeReceiving();
    expect(log).toEqual(["message 500", "message 600"]);
    expect(server.said()).toEqual(["windowUpdate 1 +605"]);
    call.pauseReceiving();
    server.receive(data(1, new Uint8Array(1001)));
    expect(server.said()).toEqual(["resetStream 1 FLOW_CONTROL_ERROR"]);
  });

  it("delays the half-close behind messages that are held back", () => {
    const { services, calls, log } = held();
    const server = MemoryServer.started({ services });
    server.receive(headers(1, requestPairs("/t.T/Stream")));
    calls[0]?.pauseReceiving();
    server.receive(data(1, message("abc"), { endStream: true }));
    expect(log).toEqual([]);
    calls[0]?.resumeReceiving();
    expect(log).toEqual(["message 3", "half-close"]);
  });

  it("tells a handler to stop and to go on", () => {
    const { services, calls, log } = held();
    const limits = { unsentHighWaterBytes: 500, unsentLowWaterBytes: 200 };
    const server = MemoryServer.started({ services, limits }, { 4: 0 });
    server.receive(headers(1, requestPairs("/t.T/Stream")));
    const call = calls[0] as ServerCall;
    expect(sendBytes(call, new Uint8Array(400))).toBe(true);
    expect(sendBytes(call, new Uint8Array(400))).toBe(false);
    expect(call.unsentBytes).toBe(810);
    server.receive(windowUpdate(1, 500));
    server.frames();
    expect(log).toEqual([]);
    server.receive(windowUpdate(1, 200));
    server.frames();
    expect(log).toEqual(["drain"]);
    server.receive(windowUpdate(1, 200));
    server.frames();
    expect(log).toEqual(["drain"]);
  });

  it("cancels a stream that sends above its cap, and no other", () => {
    const { services, calls, log } = held();
    const server = MemoryServer.started({ services, limits: { unsentStreamBytesMax: 1000 } }, { 4: 0 });
    server.receive(headers(1, requestPairs("/t.T/Stream")), headers(3, requestPairs("/t.T/Stream")));
    const [slow, other] = calls as [ServerCall, ServerCall];
    // One message may pass the cap: a large answer is no queue.
    sendBytes(slow, new Uint8Array(5000));
    sendBytes(other, new Uint8Array(10));
    expect(slow.ended).toBe(false);
    sendBytes(slow, new Uint8Array(1));
    expect(slow.ended).toBe(true);
    expect(log).toEqual(["cancel 8 the client does not read fast enough"]);
    expect(server.said().at(-1)).toBe("resetStream 1 ENHANCE_YOUR_CALM");
    server.receive(windowUpdate(3, 100));
    expect(server.said()).toHaveLength(1);
  });

  it("counts padding as consumed", () => {
    const { services, log } = held();
    const limits = { streamWindowBytes: 400, connectionWindowBytes: 70_000 };
    const server = MemoryServer.started({ services, limits });
    const padded = concat(Uint8Array.of(200), message("x"), new Uint8Array(200));
    server.receive(headers(1, requestPairs("/t.T/Stream")), frame(FrameType.data, 8, 1, padded));
    expect(log).toEqual(["message 1"]);
    expect(server.said()).toEqual(["windowUpdate 1 +201"]);
  });
});

describe("keepalive", () => {
  it("answers pings and ends a connection that pings too often", () => {
    const server = MemoryServer.started(echo);
    server.receive(headers(1, requestPairs("/test.Echo/Hang")));
    for (let i = 0; i < 3; i++) {
      server.receive(ping(i));
      server.nowMs += 4000;
    }
    expect(server.said()).toEqual(["ping 0 ack", "ping 1 ack", "ping 2 ack"]);
    server.receive(ping(3));
    expect(server.said()).toEqual(["ping 3 ack", "goAway 1 ENHANCE_YOUR_CALM too_many_pings"]);
  });

  it("allows a ping every five seconds while a stream is open", () => {
    const server = MemoryServer.started(echo);
    server.receive(headers(1, requestPairs("/test.Echo/Hang")));
    for (let i = 0; i < 20; i++) {
      server.receive(ping(i));
      server.nowMs += 5000;
    }
    expect(server.over).toBeUndefined();
  });

  it("forgets strikes when it has sent something", () => {
    const server = MemoryServer.started(echo);
    server.receive(headers(1, requestPairs("/test.Echo/Bidi")));
    for (let i = 0; i < 20; i++) server.receive(ping(i), data(1, message("x")));
    expect(server.over).toBeUndefined();
  });

  it("takes a ping for what it wrote, not for what it was given to write", () => {
    const server = MemoryServer.started(echo, { 4: 0x7fff_ffff });
    // One answer that leaves in many turns, each of which a Go client measures by a PING.
    server.receive(largeRequest(1, "/test.Echo/Unary", 1_000_000));
    server.frames();
    for (let i = 0; i < 20; i++) {
      server.receive(ping(i), windowUpdate(0, 40_000));
      server.frames();
    }
    expect(server.over).toBeUndefined();
  });

  it("does not allow pings without streams more often than every two hours", () => {
    const server = MemoryServer.started(echo);
    for (let i = 0; i < 4; i++) {
      server.receive(ping(i));
      server.nowMs += 60_000;
    }
    expect(server.said().at(-1)).toBe("goAway 0 ENHANCE_YOUR_CALM too_many_pings");
  });

  it("pings a silent client and ends the connection when it stays silent", () => {
    const server = MemoryServer.started(echo);
    server.advance(7_195_000);
    expect(server.said()).toEqual([]);
    server.advance(10_000);
    expect(server.said()).toEqual(["ping 1"]);
    server.receive(ping(1, { ack: true }));
    server.advance(60_000);
    expect(server.over).toBeUndefined();
    server.advance(7_200_000);
    expect(server.over).toBe("keepalive ping not acked within timeout");
  });
});

describe("graceful end", () => {
  it("says goodbye twice, lets calls finish, and refuses later ones silently", () => {
    const server = MemoryServer.started(echo);
    server.receive(headers(1, requestPairs("/test.Echo/Bidi")));
    server.server.connection.drain();
    expect(server.said()).toEqual(["goAway 2147483647 NO_ERROR graceful_stop", "ping 2"]);
    // On its way before the client has seen the GOAWAY.
    server.receive(request(3, "/test.Echo/Unary", "a"));
    expect(server.said().at(-1)).toBe("headers 3 grpc-status=0 end");
    server.receive(frame(FrameType.ping, 1, 0, Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 2)));
    expect(server.said()).toEqual(["goAway 3 NO_ERROR"]);
    server.receive(request(5, "/test.Echo/Unary", "a"));
    expect(server.said()).toEqual([]);
    expect(server.over).toBeUndefined();
    server.receive(data(1, message("x"), { endStream: true }));
    expect(server.said().at(-1)).toBe("headers 1 grpc-status=0 end");
    expect(server.over).toBe("drained");
  });

  it("ends an idle connection once the client has heard", () => {
    const server = MemoryServer.started(echo);
    server.server.connection.drain();
    server.receive(frame(FrameType.ping, 1, 0, Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 2)));
    expect(server.over).toBe("drained");
  });

  it("ends when the client goes away and its calls are done", () => {
    const server = MemoryServer.started(echo);
    server.receive(headers(1, requestPairs("/test.Echo/Bidi")), goAway(0, 0));
    expect(server.over).toBeUndefined();
    server.receive(data(1, new Uint8Array(0), { endStream: true }));
    server.frames();
    expect(server.over).toBe("the peer went away");
  });
});

describe("plain HTTP", () => {
  const http = (exchange: HttpExchange): void => {
    let size = 0;
    exchange.receive({
      onData: (bytes) => {
        size += bytes.length;
      },
      onEnd: () =>
        exchange.respond(200, { "Content-Type": "text/plain" }, `${exchange.method} ${exchange.target} ${size}`),
    });
  };
  const get: Pairs = [
    [":method", "GET"],
    [":scheme", "http"],
    [":path", "/version?x=1"],
    [":authority", "h"],
  ];

  it("reaches its handler on the same connection as gRPC", () => {
    const server = MemoryServer.started({ ...echo, http });
    server.receive(headers(1, get, { endStream: true }), request(3, "/test.Echo/Unary", "a"));
    expect(server.said()).toEqual([
      "headers 1 :status=200 content-type=text/plain content-length=18",
      'data 1 "GET /version?x=1 0" end',
      `headers 3 ${headWords}`,
      'data 3 "\\u0000\\u0000\\u0000\\u0000\\u0001a"',
      "headers 3 grpc-status=0 end",
    ]);
  });

  it("receives a body, whose length must be what was promised", () => {
    const server = MemoryServer.started({ http });
    const post: Pairs = [[":method", "POST"], ...get.slice(1), ["content-length", "5"]];
    server.receive(headers(1, post), data(1, new Uint8Array(5), { endStream: true }));
    expect(server.said()[1]).toContain("POST /version?x=1 5");
    server.receive(headers(3, post), data(3, new Uint8Array(4), { endStream: true }));
    expect(server.said()).toEqual(["resetStream 3 PROTOCOL_ERROR"]);
    server.receive(headers(5, post), data(5, new Uint8Array(6)));
    expect(server.said()).toEqual(["resetStream 5 PROTOCOL_ERROR"]);
  });

  it("holds a body back while its handler does not want it", () => {
    const log: string[] = [];
    const kept: HttpExchange[] = [];
    const held = (exchange: HttpExchange): void => {
      kept.push(exchange);
      exchange.receive({ onData: (bytes) => log.push(`${bytes.length}`), onEnd: () => log.push("end") });
      exchange.pauseReceiving();
    };
    const server = MemoryServer.started({ http: held, limits: { streamWindowBytes: 20_000 } });
    server.receive(headers(1, [[":method", "POST"], ...get.slice(1)]));
    server.receive(data(1, new Uint8Array(8000)), data(1, new Uint8Array(8000)));
    expect(server.said()).toEqual([]);
    kept[0]?.resumeReceiving();
    expect(log).toEqual(["8000", "8000"]);
    expect(server.said()).toEqual(["windowUpdate 1 +16000"]);
    kept[0]?.pauseReceiving();
    server.receive(data(1, new Uint8Array(1), { endStream: true }));
    expect(log).toHaveLength(2);
    kept[0]?.resumeReceiving();
    expect(log.slice(2)).toEqual(["1", "end"]);
  });

  it("streams an answer with back-pressure and hears of a client that leaves", () => {
    const log: string[] = [];
    let kept: HttpExchange | undefined;
    const server = MemoryServer.started(
      {
        http: (exchange) => {
          kept = exchange;
          exchange.onCancel(() => log.push("cancel"));
          exchange.onDrain(() => log.push("drain"));
          exchange.open(200, {});
          log.push(String(exchange.send(new Uint8Array(100_000))));
        },
      },
      { 4: 10 },
    );
    server.receive(headers(1, get, { endStream: true }));
    expect(log).toEqual(["false"]);
    server.receive(windowUpdate(1, 80_000), windowUpdate(0, 80_000));
    server.frames();
    expect(log).toEqual(["false", "drain"]);
    server.receive(reset(1, ErrorCode.cancel));
    expect(log).toEqual(["false", "drain", "cancel"]);
    expect(kept?.ended).toBe(true);
  });

  it("reads on when it has answered early, for a while", () => {
    const early = (exchange: HttpExchange): void => exchange.respond(404, {}, "no");
    const server = MemoryServer.started({ http: early, limits: { streamWindowBytes: 20_000 } });
    const post: Pairs = [[":method", "POST"], ...get.slice(1)];
    server.receive(headers(1, post));
    expect(server.said().at(-1)).toBe('data 1 "no" end');
    for (let i = 0; i < 10; i++) server.receive(data(1, new Uint8Array(10_000)));
    expect(server.said()).toContain("windowUpdate 1 +10000");
    server.receive(data(1, new Uint8Array(0), { endStream: true }), headers(3, post));
    server.said();
    expect(server.server.connection.streamCount).toBe(1);
    server.advance(70_000);
    expect(server.said()).toEqual(["resetStream 3 CANCEL"]);
  });

  it("answers HEAD without a body", () => {
    const server = MemoryServer.started({ http });
    server.receive(headers(1, [[":method", "HEAD"], ...get.slice(1)], { endStream: true }));
    expect(server.said()).toEqual(["headers 1 :status=200 content-type=text/plain content-length=19 end"]);
  });
});

describe("header compression", () => {
  it("tells a client with a smaller table that it uses none", () => {
    const server = MemoryServer.started(echo, { 1: 0 });
    server.receive(request(1, "/test.Echo/Unary", "a"), request(3, "/test.Echo/Unary", "a"));
    const blocks = server.frames().filter(({ type }) => type === FrameType.headers);
    expect(blocks.map(({ payload }) => payload[0])).toEqual([0x20, expect.any(Number), 0x88, expect.any(Number)]);
    expect(blocks[1]?.payload[0]).not.toBe(0x20);
  });

  it("sends large trailers in CONTINUATION frames", () => {
    const services: ServiceTable = new Map([
      [
        "/t.T/M",
        {
          kind: "request",
          handle: (call: ServerCall) => call.end({ code: StatusCode.unknown, message: "m".repeat(20_000) }),
        },
      ],
    ]);
    const server = MemoryServer.started({ services });
    server.receive(request(1, "/t.T/M", ""));
    const frames = server.frames();
    expect(frames.map(({ type }) => type)).toEqual([FrameType.headers, FrameType.continuation]);
    expect(frames.map(({ flags }) => flags)).toEqual([1, 4]);
  });
});
