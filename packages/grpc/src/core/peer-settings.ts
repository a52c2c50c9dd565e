/** What a peer's SETTINGS frame says, checked. Source: RFC 9113 §6.5. */
import { ErrorCode, framePayloadBytesMax, readUint32, SettingId, windowBytesMax } from "./protocol.js";

/** Who acts on the settings. */
export interface SettingsTarget {
  /** We never use the peer's table; one smaller than the default has to be acknowledged in the next block. */
  announceTableOff(): void;
  setPeerStreamsMax(count: number): void;
  /** False: a window passed its maximum, and the connection has failed. */
  setInitialWindow(bytes: number): boolean;
  fail(code: ErrorCode, why: string): void;
}

/** Applies `bytes[start..end)`, whole settings, in their order. False: the connection has failed. */
export function applySettings(
  target: SettingsTarget,
  { bytes, start, end, isServer }: { bytes: Uint8Array; start: number; end: number; isServer: boolean },
): boolean {
  for (let at = start; at < end; at += 6) {
    const id = ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
    if (!applySetting(target, id, readUint32(bytes, at + 2), isServer)) return false;
  }
  return true;
}

function applySetting(target: SettingsTarget, id: number, value: number, isServer: boolean): boolean {
  switch (id) {
    case SettingId.headerTableSize:
      if (value < 4096) target.announceTableOff();
      return true;
    case SettingId.enablePush:
      if (value <= 1 && (isServer || value === 0)) return true;
      target.fail(ErrorCode.protocolError, "bad SETTINGS_ENABLE_PUSH");
      return false;
    case SettingId.maxConcurrentStreams:
      target.setPeerStreamsMax(value);
      return true;
    case SettingId.initialWindowSize:
      if (value <= windowBytesMax) return target.setInitialWindow(value);
      target.fail(ErrorCode.flowControlError, "bad SETTINGS_INITIAL_WINDOW_SIZE");
      return false;
    case SettingId.maxFrameSize:
      // Larger frames would let one stream hold up the others for longer: never used, only checked.
      if (value >= framePayloadBytesMax && value <= 0xff_ffff) return true;
      target.fail(ErrorCode.protocolError, "bad SETTINGS_MAX_FRAME_SIZE");
      return false;
    default:
      return true;
  }
}
