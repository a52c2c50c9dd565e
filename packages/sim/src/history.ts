/** What the clients of a run saw, as facts that can be kept, changed and checked again. */

import type { KeyRange } from "./model.js";

/** A key and its value as an answer held it. */
export interface SeenKey {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly lease: bigint;
}

export type Request =
  | { readonly kind: "put"; readonly key: string; readonly value: string; readonly lease: bigint }
  | { readonly kind: "get"; readonly range: KeyRange; readonly revision: number; readonly serializable: boolean }
  | { readonly kind: "delete"; readonly key: string }
  /** Puts if the key was last changed at `modRevision` (0: does not exist), else reads it. */
  | { readonly kind: "cas"; readonly key: string; readonly modRevision: number; readonly value: string }
  /** Puts one key and deletes another in one transaction. */
  | { readonly kind: "move"; readonly from: string; readonly to: string; readonly value: string }
  | { readonly kind: "grant"; readonly lease: bigint; readonly ttl: number }
  | { readonly kind: "keep-alive"; readonly lease: bigint }
  | { readonly kind: "revoke"; readonly lease: bigint }
  | { readonly kind: "compact"; readonly revision: number };

export type Answer =
  | {
      readonly kind: "ok";
      readonly revision: number;
      readonly keys: readonly SeenKey[];
      readonly ttl: number;
      readonly succeeded: boolean;
    }
  /** The server said no; `isDefinite` when that means that nothing was done. */
  | { readonly kind: "refused"; readonly code: number; readonly message: string; readonly isDefinite: boolean }
  /** No answer came: it may have been done, or may be yet. */
  | { readonly kind: "lost" };

/** What a watcher asked for and got. */
export interface WatchSpec {
  readonly range: KeyRange;
  /** 0: from now on. */
  readonly startRevision: number;
  readonly prevKv: boolean;
}

export interface SeenEvent {
  readonly isDelete: boolean;
  readonly kv: SeenKey;
  readonly previous: SeenKey | undefined;
}

export type WatchFact =
  | { readonly kind: "created"; readonly revision: number }
  | { readonly kind: "events"; readonly revision: number; readonly events: readonly SeenEvent[] }
  | { readonly kind: "progress"; readonly revision: number }
  | { readonly kind: "canceled"; readonly revision: number; readonly compactRevision: number; readonly reason: string };

/** One observation, in the order in which they were made. */
export type Fact =
  | {
      readonly kind: "commit";
      readonly index: number;
      readonly term: number;
      readonly data: Uint8Array | undefined;
      readonly at: number;
    }
  | { readonly kind: "invoke"; readonly id: number; readonly request: Request; readonly at: number }
  | { readonly kind: "return"; readonly id: number; readonly answer: Answer; readonly at: number }
  | { readonly kind: "watch"; readonly id: number; readonly spec: WatchSpec }
  | { readonly kind: "watched"; readonly id: number; readonly fact: WatchFact };
