/** What the peer may still send: it is given back in steps of half a window. Source: RFC 9113 §5.2. */
import type { ControlFrames } from "./control-frames.js";
import type { ConnectionLimits } from "./limits.js";
import type { Http2Stream } from "./stream.js";

export class ReceiveWindows {
  readonly #control: ControlFrames;
  /** What the peer may still send on all streams together. */
  #connectionBytes: number;
  #unreturnedBytes = 0;
  readonly #streamReturnBytes: number;
  readonly #connectionReturnBytes: number;

  constructor(limits: ConnectionLimits, control: ControlFrames) {
    this.#control = control;
    this.#connectionBytes = limits.connectionWindowBytes;
    this.#streamReturnBytes = limits.streamWindowBytes >> 1;
    this.#connectionReturnBytes = limits.connectionWindowBytes >> 1;
  }

  /** Counts a frame against the connection's window. False: the peer was not allowed to send it. */
  take(bytes: number): boolean {
    this.#connectionBytes -= bytes;
    return this.#connectionBytes >= 0;
  }

  /** Gives bytes back for the connection alone: their stream is gone, or gets no more. */
  giveBack(bytes: number): void {
    this.#unreturnedBytes += bytes;
    if (this.#unreturnedBytes < this.#connectionReturnBytes) return;
    this.#control.windowUpdate(0, this.#unreturnedBytes);
    this.#connectionBytes += this.#unreturnedBytes;
    this.#unreturnedBytes = 0;
  }

  /** Gives bytes of a stream back that its sink is done with. */
  consume(stream: Http2Stream, bytes: number): void {
    this.giveBack(bytes);
    if (stream.remoteEnded || stream.closed) return;
    stream.unreturnedBytes += bytes;
    if (stream.unreturnedBytes < this.#streamReturnBytes) return;
    this.#control.windowUpdate(stream.id, stream.unreturnedBytes);
    stream.receiveWindow += stream.unreturnedBytes;
    stream.unreturnedBytes = 0;
  }
}
