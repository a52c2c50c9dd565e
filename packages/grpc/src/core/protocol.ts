/**
 * Names and numbers of HTTP/2 on the wire. Source: RFC 9113 §6, §7, §11.
 */

export const FrameType = {
  data: 0,
  headers: 1,
  priority: 2,
  resetStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const Flag = {
  /** On SETTINGS and PING. */
  ack: 0x1,
  endStream: 0x1,
  endHeaders: 0x4,
  padded: 0x8,
  priority: 0x20,
} as const;

export const ErrorCode = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  connectError: 10,
  enhanceYourCalm: 11,
  inadequateSecurity: 12,
  http11Required: 13,
} as const;
/** Any 32-bit number: a peer may send codes that have no name. */
export type ErrorCode = number;

const errorNames = [
  "NO_ERROR",
  "PROTOCOL_ERROR",
  "INTERNAL_ERROR",
  "FLOW_CONTROL_ERROR",
  "SETTINGS_TIMEOUT",
  "STREAM_CLOSED",
  "FRAME_SIZE_ERROR",
  "REFUSED_STREAM",
  "CANCEL",
  "COMPRESSION_ERROR",
  "CONNECT_ERROR",
  "ENHANCE_YOUR_CALM",
  "INADEQUATE_SECURITY",
  "HTTP_1_1_REQUIRED",
] as const;

/** The RFC's name of an error code, as Go prints it. */
export function errorName(code: ErrorCode): string {
  return errorNames[code] ?? `unknown error code 0x${code.toString(16)}`;
}

export const SettingId = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
} as const;

export const frameHeaderBytes = 9;
/** The largest frame payload both sides accept without SETTINGS_MAX_FRAME_SIZE; we never announce another. */
export const framePayloadBytesMax = 16_384;
export const initialWindowBytes = 65_535;
export const windowBytesMax = 0x7fff_ffff;
export const streamIdMax = 0x7fff_ffff;
/** "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" */
export const clientPreface: Uint8Array = Uint8Array.of(
  ...[0x50, 0x52, 0x49, 0x20, 0x2a, 0x20, 0x48, 0x54, 0x54, 0x50, 0x2f, 0x32],
  ...[0x2e, 0x30, 0x0d, 0x0a, 0x0d, 0x0a, 0x53, 0x4d, 0x0d, 0x0a, 0x0d, 0x0a],
);

/** Reads an unsigned 32-bit big-endian number. */
export function readUint32(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) * 0x1_00_00_00 +
    (((bytes[at + 1] as number) << 16) | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number))
  );
}

/** Writes an unsigned 32-bit big-endian number. */
export function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** Writes the nine bytes in front of every frame's payload. */
export function writeFrameHeader(
  bytes: Uint8Array,
  at: number,
  payloadBytes: number,
  type: number,
  flags: number,
  streamId: number,
): void {
  bytes[at] = payloadBytes >>> 16;
  bytes[at + 1] = payloadBytes >>> 8;
  bytes[at + 2] = payloadBytes;
  bytes[at + 3] = type;
  bytes[at + 4] = flags;
  bytes[at + 5] = streamId >>> 24;
  bytes[at + 6] = streamId >>> 16;
  bytes[at + 7] = streamId >>> 8;
  bytes[at + 8] = streamId;
}
