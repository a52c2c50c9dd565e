/** Every limit of a connection, with its default, in one place. Times are milliseconds, sizes bytes. */

export interface KeepaliveLimits {
  /** Without anything received for this long a PING is sent; 0 = never. */
  readonly intervalMs: number;
  /** The connection ends when nothing comes within this time after the PING; 0 = never. */
  readonly timeoutMs: number;
  /** Client: ping although no call is open. */
  readonly permitWithoutStream: boolean;
  /** Server: more frequent PINGs of a client are strikes. */
  readonly minClientIntervalMs: number;
}

export interface ConnectionLimits {
  /** SETTINGS_MAX_CONCURRENT_STREAMS; streams above it are refused. */
  readonly streamsMax: number;
  /** What a peer may send on one stream before the handler has consumed it. */
  readonly streamWindowBytes: number;
  /** The same for all streams together; at least 65 535, which a peer may send unasked. */
  readonly connectionWindowBytes: number;

  readonly headerListBytesMax: number;
  readonly headerPairsMax: number;
  readonly headerTableBytesMax: number;

  /** `send` answers false from here on, */
  readonly unsentHighWaterBytes: number;
  /** and `onDrain` is called from here down. */
  readonly unsentLowWaterBytes: number;
  /** A stream that sends again above this is cancelled. One message may be larger. */
  readonly unsentStreamBytesMax: number;
  /** The same for all streams of the connection together. */
  readonly unsentConnectionBytesMax: number;
  /** Framed bytes that may wait in the socket; the rest stays with its stream. */
  readonly socketBytesMax: number;
  /** Answers to control frames that may wait; above it nothing more is read. */
  readonly controlBytesMax: number;

  readonly receiveMessageBytesMax: number;
  readonly sendMessageBytesMax: number;
  /** Parts of unfinished messages, all streams together. */
  readonly partialMessageBytesMax: number;

  /** Stream resets, by the peer or made necessary by it: this many at once, */
  readonly resetBurst: number;
  /** and this many a second in the long run, then GOAWAY ENHANCE_YOUR_CALM. */
  readonly resetsPerSecond: number;
  /** The same for frames that do nothing: empty DATA, PRIORITY, SETTINGS, unknown ones. */
  readonly idleFrameBurst: number;
  readonly idleFramesPerSecond: number;

  /** The preface and the first SETTINGS. */
  readonly prefaceTimeoutMs: number;
  /** The rest of a frame or of a header block that has begun. */
  readonly headersTimeoutMs: number;
  /** The next part of a request message that is owed. */
  readonly bodyTimeoutMs: number;

  readonly keepalive: KeepaliveLimits;
}

const shared = {
  headerListBytesMax: 16 * 1024,
  headerPairsMax: 100,
  headerTableBytesMax: 4096,
  unsentHighWaterBytes: 64 * 1024,
  unsentLowWaterBytes: 32 * 1024,
  unsentStreamBytesMax: 8 * 1024 * 1024,
  unsentConnectionBytesMax: 256 * 1024 * 1024,
  socketBytesMax: 256 * 1024,
  controlBytesMax: 64 * 1024,
  sendMessageBytesMax: 0x7fff_ffff,
  resetBurst: 1000,
  resetsPerSecond: 33,
  idleFrameBurst: 1000,
  idleFramesPerSecond: 33,
  prefaceTimeoutMs: 10_000,
  headersTimeoutMs: 30_000,
} as const;

/** A server's limits; the keepalive policy is etcd's. Source: etcd server/embed/config.go. */
export const serverLimits: ConnectionLimits = {
  ...shared,
  streamsMax: 1000,
  streamWindowBytes: 512 * 1024,
  connectionWindowBytes: 8 * 1024 * 1024,
  receiveMessageBytesMax: 2 * 1024 * 1024,
  partialMessageBytesMax: 64 * 1024 * 1024,
  bodyTimeoutMs: 60_000,
  keepalive: { intervalMs: 7_200_000, timeoutMs: 20_000, permitWithoutStream: false, minClientIntervalMs: 5000 },
};

/** A client's limits. A client trusts its server further: it may be sent large ranges. */
export const clientLimits: ConnectionLimits = {
  ...shared,
  streamsMax: 0,
  streamWindowBytes: 4 * 1024 * 1024,
  connectionWindowBytes: 32 * 1024 * 1024,
  receiveMessageBytesMax: 0x7fff_ffff,
  partialMessageBytesMax: Number.MAX_SAFE_INTEGER,
  bodyTimeoutMs: 0,
  keepalive: { intervalMs: 0, timeoutMs: 20_000, permitWithoutStream: false, minClientIntervalMs: 0 },
};
