/** One of the two servers under load, with what the loads have put into it. */

import { Member } from "../tests/interop/support/member.js";
import { type LoopResult, runClosedLoop } from "./generator/closed-loop.js";
import { benchmarkKeys, type KeySpace } from "./generator/key-space.js";
import { type KvLoad, PutWork, Steps } from "./generator/kv-work.js";
import { Revisions } from "./generator/revisions.js";
import { Trio } from "./trio.js";

/** Where a load is sent: a member or the null server. */
export interface Target {
  readonly host: string;
  readonly port: number;
}

/** What runs under a load: a member or three of them. */
export type Server = Member | Trio;

export class Side {
  readonly target: Target;
  /** Absent for the null server. */
  readonly server: Server | undefined;
  readonly revisions: Revisions = new Revisions();
  /** Steps go on over the runs, so that a run does not repeat the keys of the last one. */
  readonly steps: Steps = new Steps();
  readonly leases: Map<string, Uint8Array> = new Map();
  #keys: KeySpace = benchmarkKeys(1);

  constructor(target: Target | Server) {
    this.target = { host: target.host, port: target.port };
    this.server = target instanceof Member || target instanceof Trio ? target : undefined;
  }

  get keys(): KeySpace {
    return this.#keys;
  }

  /** The load over all keys of the last `fill`. */
  get load(): KvLoad {
    return { keys: this.#keys, revisions: this.revisions, steps: this.steps };
  }

  /**
   * Puts `count` keys, with as many callers as is fast, and makes them the keys of the loads that follow. `lease`, if
   * any, is attached to them.
   */
  async fill(count: number, options: { readonly lease?: number } = {}): Promise<LoopResult> {
    this.#keys = benchmarkKeys(count);
    const load = { keys: this.#keys, revisions: this.revisions, steps: new Steps({ end: count }), ...options };
    return runClosedLoop({ ...this.target, connections: 10, streams: 10, work: () => new PutWork(load) });
  }
}
