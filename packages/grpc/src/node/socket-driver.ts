/**
 * Moves bytes between a socket and a connection. It decides nothing: what to write, when to stop reading and when it is
 * over is the connection's word.
 */
import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import type { Http2Connection } from "../core/connection.js";
import { ChunkPool } from "../core/output.js";
import type { NodeTimers } from "./node-timers.js";
import { turnFlush } from "./turn-flush.js";

/** The pool of all sockets of this process: chunks are of Node's kind, so that writing them makes no copy. */
export const nodeChunkPool: ChunkPool = new ChunkPool((size) => Buffer.allocUnsafeSlow(size));

/** How long a peer may take to close its side after we have said that it is over. */
const goodbyeMs = 1000;

export class SocketDriver {
  readonly #socket: Socket;
  readonly #timers: NodeTimers;
  readonly #connection: Http2Connection;
  #receiving = false;
  /** The socket has let go of bytes. */
  #hasRoom = false;
  #flushScheduled = false;
  #paused = false;
  #ending = false;

  constructor(socket: Socket, connection: Http2Connection, timers: NodeTimers) {
    this.#socket = socket;
    this.#connection = connection;
    this.#timers = timers;
  }

  /** Takes over the socket. `received` was read from it before. */
  start(received: Uint8Array | undefined): void {
    const socket = this.#socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    socket.on("end", () => this.#onGone("the peer closed the connection"));
    socket.on("error", (error) => this.#onGone(error.message));
    socket.on("close", () => this.#onGone("the socket was closed"));
    if (received !== undefined) this.#onData(received);
    else this.flush();
  }

  /** The connection has output. Within `receive` it is flushed at its end, otherwise when this turn's work is done. */
  wake(): void {
    if (this.#receiving || this.#flushScheduled) return;
    this.#flushScheduled = true;
    if (this.#hasRoom) turnFlush.refill(this);
    else turnFlush.add(this);
  }

  #onData(chunk: Uint8Array): void {
    if (this.#ending) return;
    this.#receiving = true;
    // A plain view: what handlers are shown must not be a Buffer, whose `slice` would share its bytes.
    const bytes = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length);
    this.#connection.receive(bytes, this.#timers.now());
    this.#receiving = false;
    this.flush();
  }

  /** Writes what the connection has. */
  flush(): void {
    this.#flushScheduled = false;
    const socket = this.#socket;
    if (socket.destroyed) return;
    const chunks = this.#connection.flush();
    if (chunks.length > 1) socket.cork();
    for (const { bytes, lengthBytes } of chunks) {
      socket.write(bytes.subarray(0, lengthBytes), () => this.#onWritten(bytes, lengthBytes));
    }
    if (chunks.length > 1) socket.uncork();
    if (this.#connection.over) this.#end();
    else this.#control();
  }

  /** Called for failed writes too: the socket holds the bytes no longer. */
  #onWritten(bytes: Uint8Array, lengthBytes: number): void {
    nodeChunkPool.release(bytes);
    this.#hasRoom = true;
    this.#connection.sent(lengthBytes);
    this.#hasRoom = false;
    if (!this.#connection.over) this.#control();
  }

  #control(): void {
    const congested = this.#connection.congested;
    if (congested === this.#paused) return;
    this.#paused = congested;
    if (congested) this.#socket.pause();
    else this.#socket.resume();
  }

  #end(): void {
    if (this.#ending) return;
    this.#ending = true;
    const socket = this.#socket;
    // The rest of what the peer sends is read and dropped: closing on unread bytes would reset the connection and could
    // destroy the GOAWAY on its way.
    socket.resume();
    socket.end();
    setTimeout(() => socket.destroy(), goodbyeMs).unref();
  }

  #onGone(why: string): void {
    this.#connection.lost(why);
    this.#ending = true;
    if (!this.#socket.destroyed) this.#socket.destroy();
  }
}
