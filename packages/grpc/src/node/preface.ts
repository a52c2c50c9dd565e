import { Buffer } from "node:buffer";
import { METHODS } from "node:http";
import type { Socket } from "node:net";
import { clientPreface } from "../core/protocol.js";

export type Protocol = "http1" | "http2";

const methods: ReadonlySet<string> = new Set(METHODS);
const methodBytesMax = Math.max(...METHODS.map((method) => method.length));

/** Whether it begins with a method and a space; undefined = cannot be told yet. */
function isHttp1(received: Buffer): boolean | undefined {
  const space = received.indexOf(0x20);
  if (space < 0) return received.length > methodBytesMax ? false : undefined;
  return methods.has(received.toString("latin1", 0, space));
}

/**
 * Finds out by the first bytes whether a client speaks HTTP/2. `found` gets them; nothing is called when the socket
 * closes first. One that says nothing in time, or nothing sensible, is destroyed. The caller has an error listener on
 * the socket.
 */
export function detectProtocol(
  socket: Socket,
  timeoutMs: number,
  found: (protocol: Protocol, received: Buffer) => void,
): void {
  let received: Buffer = Buffer.alloc(0);
  const timeout = setTimeout(() => socket.destroy(), timeoutMs).unref();
  const stop = (): void => {
    clearTimeout(timeout);
    socket.off("data", onData);
    socket.off("close", stop);
  };
  const onData = (chunk: Buffer): void => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    const length = Math.min(received.length, clientPreface.length);
    let same = 0;
    while (same < length && received[same] === clientPreface[same]) same++;
    if (same < length) {
      const http1 = isHttp1(received);
      if (http1 === undefined) return;
      stop();
      if (http1) found("http1", received);
      else socket.destroy();
    } else if (length === clientPreface.length) {
      stop();
      found("http2", received);
    }
  };
  socket.on("data", onData);
  socket.on("close", stop);
}
