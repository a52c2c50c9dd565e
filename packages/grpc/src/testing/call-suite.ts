/** What every way to call a service table must do. Run on sockets and within the process. */
import { describe, expect, it } from "vitest";
import {
  type CallObserver,
  type MetadataEntries,
  type ServerCall,
  type ServiceTable,
  type Status,
  StatusCode,
} from "../call.js";
import type { CallOpener, ClientCall, ClientCallOptions, ClientStatus } from "../client-call.js";
import { GrpcError, unary } from "../unary.js";
import { echoTable, sendBytes, writer } from "./tables.js";

/** A transport under test: `open` serves a table and returns a client of it. */
export interface CallTransport {
  open(table: ServiceTable): Promise<{ client: CallOpener; close(): Promise<void> }>;
}

/** Everything that a call's receiver was told. */
export interface Recording {
  readonly call: ClientCall;
  readonly messages: string[];
  readonly headers: MetadataEntries[];
  drains: number;
  /** Resolves at the end. */
  readonly ended: Promise<ClientStatus>;
  /** Resolves when there are so many messages. */
  received(count: number): Promise<void>;
}

export function record(client: CallOpener, path: string, options: ClientCallOptions = {}): Recording {
  let end: (status: ClientStatus) => void = () => undefined;
  let ends = 0;
  const waiting: { count: number; resolve: () => void }[] = [];
  const state = {
    messages: [] as string[],
    headers: [] as MetadataEntries[],
    drains: 0,
    ended: new Promise<ClientStatus>((resolve) => {
      end = resolve;
    }),
    received: (count: number): Promise<void> =>
      new Promise((resolve) => {
        if (state.messages.length >= count) resolve();
        else waiting.push({ count, resolve });
      }),
  };
  const call = client.open(path, options, {
    onHeaders: (metadata) => state.headers.push(metadata),
    onMessage: (message) => {
      state.messages.push(message.length > 100 ? `${message.length} bytes` : new TextDecoder().decode(message));
      for (const { count, resolve } of waiting) if (state.messages.length >= count) resolve();
    },
    onEnd: (status) => {
      expect(++ends).toBe(1);
      end(status);
    },
    onDrain: () => {
      state.drains++;
    },
  });
  return Object.assign(state, { call });
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function send(call: ClientCall, text: string): boolean {
  return call.send(bytes(text).length, writer(bytes(text)));
}

async function ask(client: CallOpener, path: string, text: string, options: ClientCallOptions = {}): Promise<string> {
  const body = bytes(text);
  const request = {
    sizeBytes: body.length,
    write: writer(body),
    decode: (message: Uint8Array): string => new TextDecoder().decode(message),
  };
  return (await unary(client, path, request, options)).message;
}

const ok: Status = { code: StatusCode.ok, message: "" };

/** A table of one streaming method, whose calls and events the test sees. */
function watched(): { table: ServiceTable; calls: ServerCall[]; log: string[]; opened: () => Promise<ServerCall> } {
  const calls: ServerCall[] = [];
  const log: string[] = [];
  const waiting: ((call: ServerCall) => void)[] = [];
  const table: ServiceTable = new Map([
    [
      "/t.T/Stream",
      {
        kind: "stream",
        open: (call: ServerCall) => {
          calls.push(call);
          call.onCancel((status) => log.push(`cancel ${status.code}`));
          call.onDrain(() => log.push("drain"));
          for (const resolve of waiting.splice(0)) resolve(call);
          return {
            onMessage: (message: Uint8Array) => log.push(`message ${message.length}`),
            onHalfClose: () => log.push("half-close"),
          };
        },
      },
    ],
  ]);
  const opened = (): Promise<ServerCall> =>
    new Promise((resolve) => {
      const [call] = calls;
      if (call === undefined) waiting.push(resolve);
      else resolve(call);
    });
  return { table, calls, log, opened };
}

/** The table's methods, with an observer that writes down what it hears. */
function observed(table: ServiceTable): { table: ServiceTable; heard: string[] } {
  const heard: string[] = [];
  const observer: CallObserver = {
    started: (call) => {
      heard.push(`started ${call.path}`);
      return heard.length;
    },
    received: (sizeBytes) => heard.push(`received ${sizeBytes}`),
    sent: (sizeBytes) => heard.push(`sent ${sizeBytes}`),
    ended: (code, startedAt) => heard.push(`ended ${code}, started at ${startedAt}`),
  };
  return { table: new Map([...table].map(([path, handler]) => [path, { ...handler, observer }])), heard };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

export function describeCalls(name: string, transport: CallTransport): void {
  const using = async (table: ServiceTable, run: (client: CallOpener) => Promise<void>): Promise<void> => {
    const { client, close } = await transport.open(table);
    try {
      await run(client);
    } finally {
      await close();
    }
  };

  describe(name, () => {
    it("makes unary calls of all sizes", () =>
      using(echoTable(), async (client) => {
        expect(await ask(client, "/test.Echo/Unary", "")).toBe("");
        for (const size of [1, 1000, 16_379, 16_380, 70_000, 1_500_000]) {
          expect((await ask(client, "/test.Echo/Unary", "x".repeat(size))).length).toBe(size);
        }
      }));

    it("keeps many calls apart", () =>
      using(echoTable(), async (client) => {
        const texts = Array.from({ length: 300 }, (_, i) => `call ${i} ${"y".repeat(i * 10)}`);
        const answers = await Promise.all(texts.map((text) => ask(client, "/test.Echo/Unary", text)));
        expect(answers).toEqual(texts);
      }));

    it("carries statuses, their text and their metadata", () =>
      using(echoTable(), async (client) => {
        const metadata: MetadataEntries = [
          ["x-text", "a b"],
          ["x-bytes-bin", Uint8Array.of(0, 255, 7)],
        ];
        const error = await ask(client, "/test.Echo/Fail", "9 etcdserver: nicht möglich %\n", { metadata }).catch(
          (reason: unknown) => reason,
        );
        expect(error).toBeInstanceOf(GrpcError);
        expect(error).toMatchObject({
          code: 9,
          message: "etcdserver: nicht möglich %\n",
          unprocessed: false,
          trailers: [
            ["x-text", "a b"],
            ["x-bytes-bin", Uint8Array.of(0, 255, 7)],
          ],
        });
      }));

    it("refuses what is not there", () =>
      using(echoTable(), async (client) => {
        await expect(ask(client, "/test.Echo/No", "")).rejects.toMatchObject({
          code: 12,
          message: "unknown method No for service test.Echo",
        });
        await expect(ask(client, "/no.No/No", "")).rejects.toMatchObject({
          code: 12,
          message: "unknown service no.No",
        });
      }));

    it("shows messages as plain bytes, which a slice copies", async () => {
      const kept: Uint8Array[] = [];
      const table: ServiceTable = new Map([
        [
          "/t.T/Keep",
          {
            kind: "request",
            handle: (call: ServerCall, request: Uint8Array) => {
              kept.push(request.slice());
              expect(kept[0]?.buffer).not.toBe(request.buffer);
              call.respond(request.length, writer(request));
            },
          },
        ],
      ]);
      await using(table, async (client) => {
        const request = { sizeBytes: 3, write: writer(Uint8Array.of(1, 2, 3)) };
        const decode = (message: Uint8Array): boolean => message.slice().buffer !== message.buffer;
        expect((await unary(client, "/t.T/Keep", { ...request, decode })).message).toBe(true);
        expect(kept).toEqual([Uint8Array.of(1, 2, 3)]);
      });
    });

    it("streams from the server, in order, ended by the status", () =>
      using(echoTable(), async (client) => {
        const recording = record(client, "/test.Echo/Many");
        recording.call.sendLast(3, writer(Uint8Array.of(5, 65, 66)));
        expect(await recording.ended).toMatchObject({ code: 0 });
        expect(recording.messages).toEqual(Array(5).fill("\u0005AB"));
        expect(recording.headers).toHaveLength(1);
      }));

    it("streams from the client", () =>
      using(echoTable(), async (client) => {
        const recording = record(client, "/test.Echo/Collect");
        for (let i = 0; i < 10; i++) send(recording.call, "12345");
        recording.call.halfClose();
        expect(send(recording.call, "too late")).toBe(false);
        expect(await recording.ended).toMatchObject({ code: 0 });
        expect(recording.messages).toEqual(["50"]);
      }));

    it("streams both ways", () =>
      using(echoTable(), async (client) => {
        const recording = record(client, "/test.Echo/Bidi");
        for (let i = 0; i < 20; i++) {
          send(recording.call, `m${i}`);
          await recording.received(i + 1);
        }
        recording.call.halfClose();
        expect(await recording.ended).toMatchObject({ code: 0 });
        expect(recording.messages).toEqual(Array.from({ length: 20 }, (_, i) => `m${i}`));
      }));

    it("ends a call at its deadline on both sides", async () => {
      const { table, log } = watched();
      await using(table, async (client) => {
        const recording = record(client, "/t.T/Stream", { timeoutMs: 50 });
        expect(await recording.ended).toMatchObject({ code: 4, message: "context deadline exceeded" });
        await until(() => log.length > 0);
        expect(["cancel 1", "cancel 4"]).toContain(log[0]);
        expect(log).toHaveLength(1);
      });
    });

    it("tells the server of a deadline", async () => {
      const { table, opened } = watched();
      await using(table, async (client) => {
        const recording = record(client, "/t.T/Stream", { timeoutMs: 5000 });
        const { timeoutMs } = await opened();
        expect(timeoutMs).toBeGreaterThan(4000);
        expect(timeoutMs).toBeLessThanOrEqual(5000.001);
        recording.call.cancel();
      });
    });

    it("fails a call whose time is up already, without asking", async () => {
      const { table, calls } = watched();
      await using(table, async (client) => {
        expect(await record(client, "/t.T/Stream", { timeoutMs: 0 }).ended).toMatchObject({ code: 4 });
        expect(calls).toEqual([]);
      });
    });

    it.each(["cancel", "signal"] as const)("cancels by %s", async (way) => {
      const { table, log, opened } = watched();
      await using(table, async (client) => {
        const controller = new AbortController();
        const recording = record(client, "/t.T/Stream", { signal: controller.signal });
        const call = await opened();
        if (way === "cancel") recording.call.cancel();
        else controller.abort();
        expect(recording.call.ended).toBe(true);
        expect(await recording.ended).toMatchObject({ code: 1 });
        await until(() => log.length > 0);
        expect(log).toEqual(["cancel 1"]);
        expect(call.ended).toBe(true);
        recording.call.cancel();
        controller.abort();
      });
    });

    it("forgets the signal of a call that has ended", () =>
      using(echoTable(), async (client) => {
        const listeners = new Set<() => void>();
        const signal = {
          aborted: false,
          addEventListener: (_type: "abort", listener: () => void) => listeners.add(listener),
          removeEventListener: (_type: "abort", listener: () => void) => listeners.delete(listener),
        };
        const recording = record(client, "/test.Echo/Unary", { signal });
        expect(listeners.size).toBe(1);
        recording.call.sendLast(1, writer(Uint8Array.of(65)));
        expect(await recording.ended).toMatchObject({ code: 0 });
        expect(listeners.size).toBe(0);
      }));

    it("does not start a call whose signal is aborted", async () => {
      const { table, calls } = watched();
      await using(table, async (client) => {
        const signal = AbortSignal.abort();
        expect(await record(client, "/t.T/Stream", { signal }).ended).toMatchObject({ code: 1 });
        expect(calls).toEqual([]);
      });
    });

    it("delivers metadata and the peer", async () => {
      const { table, opened } = watched();
      await using(table, async (client) => {
        const metadata: MetadataEntries = [
          ["token", "secret"],
          ["trace-bin", Uint8Array.of(1, 2, 3)],
        ];
        const recording = record(client, "/t.T/Stream", { metadata });
        const call = await opened();
        expect(call.path).toBe("/t.T/Stream");
        expect(call.header("token")).toBe("secret");
        expect(call.metadata).toContainEqual(["trace-bin", Uint8Array.of(1, 2, 3)]);
        expect(call.peer.address).not.toBe("");
        recording.call.cancel();
      });
    });

    it("holds a client back that sends faster than the handler takes", async () => {
      const { table, log, opened } = watched();
      await using(table, async (client) => {
        const recording = record(client, "/t.T/Stream");
        const call = await opened();
        call.pauseReceiving();
        const body = new Uint8Array(50_000);
        let sent = 0;
        while (recording.call.send(body.length, writer(body))) {
          sent++;
          await new Promise((resolve) => setImmediate(resolve));
          expect(sent).toBeLessThan(200);
        }
        expect(log).toEqual([]);
        call.resumeReceiving();
        await until(() => log.length === sent + 1);
        await until(() => recording.drains === 1);
        recording.call.halfClose();
        await until(() => log.at(-1) === "half-close");
        recording.call.cancel();
      });
    });

    it("holds a handler back that sends faster than the client takes", async () => {
      const { table, log, opened } = watched();
      await using(table, async (client) => {
        const recording = record(client, "/t.T/Stream");
        const call = await opened();
        recording.call.pauseReceiving();
        const body = new Uint8Array(100_000);
        let sent = 1;
        while (sendBytes(call, body)) {
          sent++;
          await new Promise((resolve) => setImmediate(resolve));
          expect(sent).toBeLessThan(200);
        }
        call.end(ok);
        recording.call.resumeReceiving();
        expect(await recording.ended).toMatchObject({ code: 0 });
        expect(recording.messages).toHaveLength(sent);
        expect(log.filter((line) => line.startsWith("cancel"))).toEqual([]);
      });
    });

    it("delivers the status behind messages that are held back", async () => {
      const { table, opened } = watched();
      await using(table, async (client) => {
        const recording = record(client, "/t.T/Stream");
        const call = await opened();
        recording.call.pauseReceiving();
        sendBytes(call, bytes("one"));
        sendBytes(call, bytes("two"));
        call.end({ code: StatusCode.aborted, message: "why" });
        await new Promise((resolve) => setTimeout(resolve, 20));
        expect(recording.messages).toEqual([]);
        expect(recording.call.ended).toBe(false);
        recording.call.resumeReceiving();
        expect(await recording.ended).toMatchObject({ code: 10, message: "why" });
        expect(recording.messages).toEqual(["one", "two"]);
      });
    });

    it("carries a large answer in pieces", async () => {
      const pieces = [1, 70_000, 0, 1 << 20, 3].map((size, i) => new Uint8Array(size).fill(i + 1));
      const handle = (call: ServerCall): void => {
        call.respondPieces(pieces);
        call.respondPieces(pieces);
      };
      const { table, heard } = observed(new Map([["/t.T/Large", { kind: "request", handle }]]));
      await using(table, async (client) => {
        const request = { sizeBytes: 0, write: () => undefined };
        const decode = (message: Uint8Array): Uint8Array => message.slice();
        const { message } = await unary(client, "/t.T/Large", { ...request, decode });
        expect(Buffer.compare(message, Buffer.concat(pieces))).toBe(0);
        expect(heard.slice(2)).toEqual([`sent ${message.length}`, "ended 0, started at 1"]);
      });
    });

    it("carries large messages in pieces on a stream, between others", async () => {
      const { table, opened } = watched();
      const { table: all, heard } = observed(table);
      await using(all, async (client) => {
        const recording = record(client, "/t.T/Stream");
        const call = await opened();
        sendBytes(call, bytes("before"));
        expect(call.sendPieces([bytes("pie"), bytes(""), bytes("ces")])).toBe(true);
        expect(call.sendPieces([new Uint8Array(1 << 20).fill(65), new Uint8Array(1 << 20).fill(65)])).toBe(false);
        sendBytes(call, bytes("behind"));
        call.end(ok);
        expect(call.sendPieces([bytes("late")])).toBe(false);
        expect(await recording.ended).toMatchObject({ code: 0 });
        expect(recording.messages).toEqual(["before", "pieces", `${2 << 20} bytes`, "behind"]);
        expect(heard.filter((line) => line.startsWith("sent"))).toHaveLength(4);
      });
    });

    it("ends a stream that a handler answers before the client is done", async () => {
      const { table, opened, log } = watched();
      await using(table, async (client) => {
        const recording = record(client, "/t.T/Stream");
        const call = await opened();
        send(recording.call, "x");
        await until(() => log.length === 1);
        call.end({ code: StatusCode.outOfRange, message: "enough" });
        expect(await recording.ended).toMatchObject({ code: 11, message: "enough" });
        expect(send(recording.call, "y")).toBe(false);
        expect(log).toEqual(["message 1"]);
      });
    });

    it("tells an observer of a good answer and of a refusal, once each", async () => {
      const late = (call: ServerCall): void => {
        call.respond(7, writer(new Uint8Array(7)));
        call.end({ code: StatusCode.internal, message: "late" });
        call.send(1, writer(new Uint8Array(1)));
        call.respond(1, writer(new Uint8Array(1)));
      };
      const refuse = (call: ServerCall): void => call.end({ code: StatusCode.notFound, message: "no" });
      const { table, heard } = observed(
        new Map([
          ["/t.T/Late", { kind: "request", handle: late }],
          ["/t.T/No", { kind: "request", handle: refuse }],
        ]),
      );
      await using(table, async (client) => {
        await ask(client, "/t.T/Late", "0123456789");
        expect(heard.splice(0)).toEqual(["started /t.T/Late", "received 10", "sent 7", "ended 0, started at 1"]);
        await expect(ask(client, "/t.T/No", "")).rejects.toMatchObject({ code: 5 });
        expect(heard).toEqual(["started /t.T/No", "received 0", "ended 5, started at 1"]);
      });
    });

    it("tells an observer of a stream's messages and of its end, however it comes", async () => {
      const { table: plain, opened, log } = watched();
      const { table, heard } = observed(plain);
      await using(table, async (client) => {
        const recording = record(client, "/t.T/Stream");
        const call = await opened();
        send(recording.call, "abc");
        await until(() => log.length === 1);
        send(recording.call, "d");
        await until(() => log.length === 2);
        sendBytes(call, bytes("answer"));
        await recording.received(1);
        recording.call.cancel();
        await until(() => log.length === 3);
        sendBytes(call, bytes("late"));
        call.end(ok);
        expect(heard).toEqual([
          ...["started /t.T/Stream", "received 3", "received 1", "sent 6"],
          `ended ${StatusCode.cancelled}, started at 1`,
        ]);
      });
    });

    it("tells an observer of nothing that did not reach a handler", async () => {
      const { table, heard } = observed(echoTable());
      await using(table, async (client) => {
        const recording = record(client, "/test.Echo/Unary");
        recording.call.halfClose();
        expect(await recording.ended).toMatchObject({ code: 2, message: "EOF" });
        expect(heard).toEqual([]);
      });
    });

    it("reports a unary method that does not answer", async () => {
      const { table, opened } = watched();
      await using(table, async (client) => {
        const asked = ask(client, "/t.T/Stream", "");
        (await opened()).end(ok);
        await expect(asked).rejects.toMatchObject({ code: 13 });
      });
    });
  });
}
