/** Care of the members. Calls that take an endpoint go to that member. Source: etcd client/v3/maintenance.go. */

import { maintenance } from "@etcd-ts/api";
import {
  AlarmRequest_AlarmAction,
  type AlarmResponse,
  AlarmType,
  type DefragmentResponse,
  DowngradeRequest_DowngradeAction,
  type DowngradeResponse,
  type HashKVResponse,
  type HashResponse,
  type MoveLeaderResponse,
  type SnapshotResponse,
  type StatusResponse,
} from "@etcd-ts/api/etcdserverpb";
import type { Answer, Caller, CallOptions } from "./caller.js";

/** Which member is asked; default: the next one in turn. */
export interface EndpointOptions extends CallOptions {
  readonly endpoint?: string | undefined;
}

const repeatable = { repeatable: true };
const once = { repeatable: false };

export class MaintenanceClient {
  readonly #caller: Caller;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  status(options: EndpointOptions = {}): Promise<Answer<StatusResponse>> {
    return this.#caller.unary(maintenance.status, {}, { ...repeatable, endpoint: options.endpoint }, options);
  }

  /** Alarms that are raised. */
  alarmList(options: CallOptions = {}): Promise<Answer<AlarmResponse>> {
    return this.#alarm("GET", 0n, "NONE", options);
  }

  /** Ends an alarm of a member, or of all members with 0; answers with what was ended. */
  alarmDisarm(
    memberId: bigint,
    alarm: keyof typeof AlarmType,
    options: CallOptions = {},
  ): Promise<Answer<AlarmResponse>> {
    return this.#alarm("DEACTIVATE", memberId, alarm, options);
  }

  /** Gives the database's free pages back. Has no deadline of its own. */
  defragment(options: EndpointOptions = {}): Promise<Answer<DefragmentResponse>> {
    const rules = { ...once, endpoint: options.endpoint, untimed: true };
    return this.#caller.unary(maintenance.defragment, {}, rules, options);
  }

  /** Hash of the member's whole database. */
  hash(options: EndpointOptions = {}): Promise<Answer<HashResponse>> {
    return this.#caller.unary(maintenance.hash, {}, { ...repeatable, endpoint: options.endpoint }, options);
  }

  /** Hash of keys and values up to `revision`, 0 = now; alike on all members. */
  hashKv(options: EndpointOptions & { readonly revision?: number } = {}): Promise<Answer<HashKVResponse>> {
    const { endpoint, revision } = options;
    return this.#caller.unary(maintenance.hashKv, { revision }, { ...repeatable, endpoint }, options);
  }

  /** The asked member, which must be the leader, hands leadership to `targetId`. */
  moveLeader(targetId: bigint, options: EndpointOptions = {}): Promise<Answer<MoveLeaderResponse>> {
    const { endpoint } = options;
    return this.#caller.unary(maintenance.moveLeader, { targetId }, { ...repeatable, endpoint }, options);
  }

  /** The member's database as a file, piece by piece; the last 32 bytes are the SHA-256 of the others. */
  snapshot(options: EndpointOptions = {}): AsyncIterableIterator<SnapshotResponse> {
    return this.#caller.serverStream(maintenance.snapshot, {}, options);
  }

  downgrade(
    action: keyof typeof DowngradeRequest_DowngradeAction,
    version: string,
    options: CallOptions = {},
  ): Promise<Answer<DowngradeResponse>> {
    const request = { action: DowngradeRequest_DowngradeAction[action], version };
    return this.#caller.unary(maintenance.downgrade, request, once, options);
  }

  #alarm(
    action: keyof typeof AlarmRequest_AlarmAction,
    memberId: bigint,
    alarm: keyof typeof AlarmType,
    options: CallOptions,
  ): Promise<Answer<AlarmResponse>> {
    const request = { action: AlarmRequest_AlarmAction[action], memberId, alarm: AlarmType[alarm] };
    return this.#caller.unary(maintenance.alarm, request, repeatable, options);
  }
}
