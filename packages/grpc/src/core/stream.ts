/**
 * One HTTP/2 stream: its windows, what waits to be sent, and whom to tell. The connection owns the state; the sink
 * gives it meaning. Source: RFC 9113 §5.
 */
import type { HeaderBlock } from "./hpack-decoder.js";
import type { ErrorCode } from "./protocol.js";

/** Why a stream ended other than by both sides' END_STREAM. */
export type StreamClosure =
  /** The peer sent RST_STREAM. */
  | { readonly kind: "reset"; readonly code: ErrorCode }
  /** We sent RST_STREAM because the peer broke the protocol or a limit. */
  | { readonly kind: "failed"; readonly code: ErrorCode; readonly why: string }
  /** The peer's GOAWAY says that it has not looked at this stream: it may be tried again elsewhere. */
  | { readonly kind: "unprocessed" }
  /** The connection is gone. */
  | { readonly kind: "lost"; readonly why: string };

/** Receives what happens on a stream. Nothing is called after `onClosed`, nor after the owner has reset the stream. */
export interface StreamSink {
  /** A further header block: a server sees trailers, a client the answer's headers and trailers. */
  onHeaders(block: HeaderBlock, endStream: boolean): void;
  /**
   * `bytes[start..end)` is valid only during the call. The sink gives the window back with `consume` when it is done
   * with them. When `endStream` is true nothing follows.
   */
  onData(bytes: Uint8Array, start: number, end: number, endStream: boolean): void;
  onClosed(closure: StreamClosure): void;
  /** The unsent bytes have fallen below the low-water mark after being above the high one. */
  onWritable(): void;
}

/** Of a stream that nobody has taken yet, or that nobody listens to any more. */
export const idleSink: StreamSink = {
  onHeaders: () => undefined,
  onData: () => undefined,
  onClosed: () => undefined,
  onWritable: () => undefined,
};

/** Bytes `start..end` of a stream's unsent data; there may be room behind `end`. */
export interface Segment {
  readonly bytes: Uint8Array;
  /** It came from the pool and goes back there. */
  readonly isPooled: boolean;
  start: number;
  end: number;
}

/** Of the streams that have never had anything waiting, which are most: it stays empty. */
const noSegments: Segment[] = [];

/** Header block and trailers that wait are whole HPACK blocks. Only the core's own files touch these fields. */
export class Http2Stream {
  readonly id: number;
  sink: StreamSink;
  /** Both sides have ended, or the stream was reset. */
  closed = false;

  /** END_STREAM has come. */
  remoteEnded = false;
  /** What the peer may still send. */
  receiveWindow: number;
  /** Received, consumed, and not yet given back by WINDOW_UPDATE. */
  unreturnedBytes = 0;
  /** Bytes of body that content-length still promises; −1 = it said nothing. */
  contentBytesLeft = -1;
  /** A server reads on when it has answered early, instead of telling the client to stop. */
  patient = false;
  /** Since when the peer owes us the next bytes; −1 = it owes nothing. */
  owedSinceMs = -1;

  /** END_STREAM is sent or waits behind the data. */
  localEnding = false;
  /** END_STREAM has been written. */
  localEnded = false;
  sendWindow: number;
  waitingHeaders: Uint8Array | undefined;
  /** What waits, oldest first. While it is empty it may be shared: it is then replaced, not changed. */
  segments: Segment[] = noSegments;
  unsentBytes = 0;
  waitingTrailers: Uint8Array | undefined;
  /** The sink was told to stop and waits for `onWritable`. */
  choked = false;
  /** In the ring of streams that can write. */
  ready = false;
  nextReady: Http2Stream | undefined;
  /** Waits for the connection's window. */
  blocked = false;

  constructor(id: number, sink: StreamSink, receiveWindow: number, sendWindow: number) {
    this.id = id;
    this.sink = sink;
    this.receiveWindow = receiveWindow;
    this.sendWindow = sendWindow;
  }
}
