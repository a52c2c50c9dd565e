/** What is known of an RPC: shapes of the tables in gen/services.ts. */

/** The generated functions of one message type. `Init` is a message whose fields may be missing. */
export interface MessageCodec<M, Init> {
  /** Full name, e.g. `etcdserverpb.PutRequest`. */
  readonly typeName: string;
  readonly create: (fields?: Init) => M;
  /** Byte fields are views of `bytes`. Throws DecodeError. */
  readonly decode: (bytes: Uint8Array, start?: number, end?: number) => M;
  readonly size: (message: Init) => number;
  /** Writes `size(message)` bytes at `offset`; returns the offset after them. */
  readonly encode: (message: Init, target: Uint8Array, offset: number) => number;
}

export interface Method<Request, RequestInit, Response, ResponseInit> {
  /** Full name, e.g. `etcdserverpb.KV`. */
  readonly service: string;
  readonly name: string;
  /** `/etcdserverpb.KV/Range`. */
  readonly path: string;
  readonly request: MessageCodec<Request, RequestInit>;
  readonly response: MessageCodec<Response, ResponseInit>;
  readonly clientStreaming: boolean;
  readonly serverStreaming: boolean;
  /** Paths of the HTTP gateway, e.g. `/v3/kv/range`; empty = not served there. */
  readonly httpPost: readonly string[];
}

/** A method whose types are not known: what a table of all of them holds. */
export interface AnyMethod {
  readonly service: string;
  readonly name: string;
  readonly path: string;
  readonly request: AnyMessageCodec;
  readonly response: AnyMessageCodec;
  readonly clientStreaming: boolean;
  readonly serverStreaming: boolean;
  readonly httpPost: readonly string[];
}

/** A codec whose type is not known. What `decode` returns may be given to `size` and `encode` of the same codec. */
export interface AnyMessageCodec {
  readonly typeName: string;
  decode(bytes: Uint8Array, start?: number, end?: number): object;
  size(message: object): number;
  encode(message: object, target: Uint8Array, offset: number): number;
}
