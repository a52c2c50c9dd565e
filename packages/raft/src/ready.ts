import type { Entry, HardState, Message, ReadState, Snapshot, SoftState } from "./types.js";

/**
 * What a node wants done, all of it decided at one moment. The arrays belong to the caller; entries and messages are
 * shared and must not change.
 *
 * With synchronous storage writes the application, in this order: persists `snapshot`, `entries` and `hardState` (and
 * syncs if `mustSync`); sends `messages` (a leader may send while it writes); applies `snapshot`, then
 * `committedEntries`; calls `advance`. One Ready is outstanding at a time.
 *
 * With asynchronous storage writes everything to be persisted or applied is also in `messages`, addressed to the
 * storage threads; there is no `advance`.
 */
export interface Ready {
  /** Set when leader or role changed. */
  readonly softState: SoftState | undefined;
  /** Set when it changed. */
  readonly hardState: HardState | undefined;
  readonly readStates: readonly ReadState[];
  /** To append to the log; replaces what the log holds at and above the first one's index. */
  readonly entries: readonly Entry[];
  /** Replaces the whole log. */
  readonly snapshot: Snapshot | undefined;
  /** To apply to the state machine, in order. */
  readonly committedEntries: readonly Entry[];
  readonly messages: readonly Message[];
  /** Whether `entries`, term or vote must be on disk before `messages` are sent. */
  readonly mustSync: boolean;
}
