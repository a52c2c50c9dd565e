/** A service with a method of each kind, for tests and for foreign peers. */
import { type MessageWriter, type MethodHandler, type ServerCall, type ServiceTable, StatusCode } from "../call.js";

export function writer(bytes: Uint8Array): MessageWriter {
  return (target, at) => target.set(bytes, at);
}

export function sendBytes(call: Pick<ServerCall, "send">, bytes: Uint8Array): boolean {
  return call.send(bytes.length, writer(bytes));
}

const ok = { code: StatusCode.ok, message: "" };

/**
 * `/test.Echo/`*Unary* answers with the request; *Many* sends the message as often as its first byte says; *Collect*
 * answers a stream with the number of its bytes; *Bidi* answers each message with itself; *Fail* ends with the status
 * that its request spells ("code text"); *Hang* never ends.
 */
export function echoTable(): ServiceTable {
  const methods: [string, MethodHandler][] = [
    ["/test.Echo/Unary", { kind: "request", handle: (call, request) => call.respond(request.length, writer(request)) }],
    [
      "/test.Echo/Many",
      {
        kind: "request",
        handle: (call, request) => {
          const bytes = request.slice();
          let left = bytes[0] ?? 0;
          const go = (): void => {
            while (left > 0) {
              left--;
              if (!sendBytes(call, bytes)) break;
            }
            if (left === 0) call.end(ok);
          };
          call.onDrain(go);
          go();
        },
      },
    ],
    [
      "/test.Echo/Collect",
      {
        kind: "stream",
        open: (call) => {
          let count = 0;
          return {
            onMessage: (message) => {
              count += message.length;
            },
            onHalfClose: () => {
              const text = Uint8Array.from(String(count), (character) => character.charCodeAt(0));
              call.respond(text.length, writer(text));
            },
          };
        },
      },
    ],
    [
      "/test.Echo/Bidi",
      {
        kind: "stream",
        open: (call) => {
          call.onDrain(() => call.resumeReceiving());
          return {
            onMessage: (message) => {
              if (!sendBytes(call, message)) call.pauseReceiving();
            },
            onHalfClose: () => call.end(ok),
          };
        },
      },
    ],
    [
      "/test.Echo/Fail",
      {
        kind: "request",
        handle: (call, request) => {
          const text = new TextDecoder().decode(request);
          const space = text.indexOf(" ");
          const code = Number(text.slice(0, space)) as StatusCode;
          const trailers = call.metadata.filter(([name]) => name.startsWith("x-"));
          call.end({ code, message: text.slice(space + 1), trailers });
        },
      },
    ],
    ["/test.Echo/Hang", { kind: "stream", open: () => ({ onMessage: () => undefined, onHalfClose: () => undefined }) }],
  ];
  return new Map(methods);
}
