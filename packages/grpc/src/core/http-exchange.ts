/** A plain HTTP request on an HTTP/2 stream. */
import type { PeerInfo } from "../call.js";
import type { HttpBodyReceiver, HttpExchange, HttpHeaders } from "../http.js";
import type { Http2Connection } from "./connection.js";
import type { HeaderBlock } from "./hpack-decoder.js";
import { encodeHeaderBlock } from "./hpack-encoder.js";
import type { HeaderField } from "./hpack-table.js";
import { parseTrailers, type RequestHead } from "./message-head.js";
import { ErrorCode } from "./protocol.js";
import type { Http2Stream, StreamSink } from "./stream.js";
import { utf8Bytes } from "./text.js";

/** Fields of HTTP/1.1 that have no meaning here. */
const droppedFields: ReadonlySet<string> = new Set(["connection", "keep-alive", "transfer-encoding", "upgrade"]);

export class Http2Exchange implements HttpExchange, StreamSink {
  readonly protocol = "HTTP/2.0";
  readonly method: string;
  readonly target: string;
  readonly headers: HttpHeaders;
  readonly peer: PeerInfo;
  ended = false;

  readonly #connection: Http2Connection;
  readonly #stream: Http2Stream;
  #receiver: HttpBodyReceiver | undefined;
  #opened = false;
  #paused = false;
  /** Body that came while paused. */
  #held: Uint8Array[] = [];
  #endDue = false;
  #cancelCallback: (() => void) | undefined;
  #drainCallback: (() => void) | undefined;

  constructor(connection: Http2Connection, stream: Http2Stream, head: RequestHead, peer: PeerInfo) {
    this.#connection = connection;
    this.#stream = stream;
    // Clients of plain HTTP, curl for one, take an early end for a failure and lose the answer.
    stream.patient = true;
    this.method = head.method;
    this.target = head.path;
    this.headers = headersOf(head);
    this.peer = peer;
  }

  /** After the handler has been called with the request's headers. */
  started(endStream: boolean): void {
    if (this.ended) return;
    if (endStream) this.#receiver?.onEnd();
    else this.#stream.owedSinceMs = this.#connection.nowMs;
  }

  receive(receiver: HttpBodyReceiver): void {
    this.#receiver = receiver;
  }

  pauseReceiving(): void {
    this.#paused = true;
    this.#stream.owedSinceMs = -1;
  }

  resumeReceiving(): void {
    this.#paused = false;
    while (this.#held.length > 0 && !this.#paused && !this.ended) {
      const chunk = this.#held.shift() as Uint8Array;
      this.#receiver?.onData(chunk);
      this.#connection.consume(this.#stream, chunk.length);
    }
    if (this.#endDue && this.#held.length === 0 && !this.#paused && !this.ended) this.#end();
  }

  respond(status: number, headers: HttpHeaders, body: Uint8Array | string): void {
    if (this.ended) return;
    if (this.#opened) return this.end();
    const bytes = typeof body === "string" ? Uint8Array.from(utf8Bytes(body)) : body;
    const withLength = { ...headers, "content-length": String(bytes.length) };
    const empty = bytes.length === 0 || this.method === "HEAD";
    this.ended = true;
    this.#connection.sendHeaders(this.#stream, this.#block(status, withLength), empty);
    if (empty) return;
    const at = this.#connection.reserveLastData(this.#stream, bytes.length);
    this.#connection.target.set(bytes, at);
  }

  open(status: number, headers: HttpHeaders): void {
    if (this.ended || this.#opened) return;
    this.#opened = true;
    this.#connection.sendHeaders(this.#stream, this.#block(status, headers), false);
  }

  send(bytes: Uint8Array): boolean {
    if (this.ended || !this.#opened || this.method === "HEAD") return !this.ended;
    if (!this.#connection.withinCaps(this.#stream)) {
      this.#connection.reset(this.#stream, ErrorCode.enhanceYourCalm);
      this.onClosed();
      return false;
    }
    if (bytes.length === 0) return !this.#stream.choked;
    const at = this.#connection.reserveData(this.#stream, bytes.length);
    this.#connection.target.set(bytes, at);
    return !this.#stream.choked;
  }

  end(): void {
    if (this.ended || !this.#opened) return;
    this.ended = true;
    this.#connection.endStream(this.#stream, undefined);
  }

  onCancel(callback: () => void): void {
    this.#cancelCallback = callback;
  }

  onDrain(callback: () => void): void {
    this.#drainCallback = callback;
  }

  // --- StreamSink ---

  onHeaders(block: HeaderBlock): void {
    if (parseTrailers(block) === undefined) {
      this.#connection.failStream(this.#stream, ErrorCode.protocolError, "malformed trailers");
    } else this.#onEnd();
  }

  onData(bytes: Uint8Array, start: number, end: number, endStream: boolean): void {
    if (start < end) {
      if (this.#paused) this.#held.push(bytes.slice(start, end));
      else {
        this.#receiver?.onData(bytes.subarray(start, end));
        this.#connection.consume(this.#stream, end - start);
      }
    }
    if (endStream) this.#onEnd();
  }

  onClosed(): void {
    if (this.ended) return;
    this.ended = true;
    this.#cancelCallback?.();
  }

  onWritable(): void {
    if (!this.ended) this.#drainCallback?.();
  }

  #onEnd(): void {
    if (this.#paused) this.#endDue = true;
    else this.#end();
  }

  #end(): void {
    this.#endDue = false;
    this.#stream.owedSinceMs = -1;
    if (!this.ended) this.#receiver?.onEnd();
  }

  #block(status: number, headers: HttpHeaders): Uint8Array {
    const fields: HeaderField[] = [{ name: ":status", value: String(status) }];
    for (const [name, value] of Object.entries(headers)) {
      const lower = name.toLowerCase();
      if (!droppedFields.has(lower)) fields.push({ name: lower, value });
    }
    return encodeHeaderBlock(fields);
  }
}

function headersOf(head: RequestHead): HttpHeaders {
  const headers = Object.create(null) as { [name: string]: string; host?: string };
  if (head.authority !== undefined) headers.host = head.authority;
  for (const { name, value } of head.fields) {
    if (name === "host") continue;
    const known = headers[name];
    headers[name] = known === undefined ? value : `${known}${name === "cookie" ? "; " : ", "}${value}`;
  }
  return headers;
}
