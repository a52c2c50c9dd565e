/**
 * Ports for servers that a test starts, and starts again: below those that the system gives to outgoing connections, any
 * of which could be there before the server is. A process takes each port once, beginning at a place of its own.
 */

import { createServer } from "node:net";

const first = 10_000;
/** Source: Linux net.ipv4.ip_local_port_range begins at 32768; elsewhere it is 49152. */
const count = 22_000;
/** Prime, so that processes with neighbouring ids begin far apart. */
const stride = 7919;

let next = (process.pid * stride) % count;

/** A port that nobody listens at on 127.0.0.1. */
export async function freePort(): Promise<number> {
  for (let tried = 0; tried < count; tried++) {
    const port = first + next;
    next = (next + 1) % count;
    if (await isFree(port)) return port;
  }
  throw new Error(`no port from ${first} to ${first + count - 1} is free`);
}

export async function freePorts(howMany: number): Promise<readonly number[]> {
  const ports: number[] = [];
  while (ports.length < howMany) ports.push(await freePort());
  return ports;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
