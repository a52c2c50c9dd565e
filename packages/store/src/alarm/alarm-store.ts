/**
 * The alarms of the cluster, stored in the bucket `alarm`: key = serialised `AlarmMember`, empty value. An alarm is a
 * pair (member, type); each is either raised or not.
 *
 * Source: server/etcdserver/api/v3alarm/alarms.go.
 */

import { messageBytes } from "@etcd-ts/api";
import {
  type AlarmMember,
  AlarmType,
  decodeAlarmMember,
  encodeAlarmMember,
  sizeAlarmMember,
} from "@etcd-ts/api/etcdserverpb";
import type { Backend } from "../backend.js";

export class AlarmStore {
  #backend: Backend;
  /** By type, then by member. */
  readonly #alarms = new Map<AlarmType, Map<bigint, AlarmMember>>();

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** Loads the alarms of a backend, at boot or after a snapshot. */
  restore(backend: Backend): void {
    this.#backend = backend;
    this.#alarms.clear();
    backend.scan("alarm", new Uint8Array(0), undefined, (key) => {
      this.#remember(decodeAlarmMember(key));
      return true;
    });
  }

  /** Whether any member has raised this type. */
  has(type: AlarmType): boolean {
    return this.#alarms.has(type);
  }

  /** The alarms of a type, of all types for `NONE`, by type and member id. */
  get(type: AlarmType): AlarmMember[] {
    const found: AlarmMember[] = [];
    for (const [storedType, byMember] of this.#alarms) {
      if (type === AlarmType.NONE || type === storedType) found.push(...byMember.values());
    }
    return found.sort((left, right) => left.alarm - right.alarm || (left.memberId < right.memberId ? -1 : 1));
  }

  /** Raises an alarm; returns it, also when it was raised already, or undefined for `NONE`. */
  activate(memberId: bigint, type: AlarmType): AlarmMember | undefined {
    if (type === AlarmType.NONE) return undefined;
    const raised = this.#alarms.get(type)?.get(memberId);
    if (raised !== undefined) return raised;
    const alarm: AlarmMember = { memberId, alarm: type };
    this.#remember(alarm);
    this.#backend.put("alarm", encodeKey(alarm), new Uint8Array(0));
    return alarm;
  }

  /** Clears an alarm; returns it, or undefined when it was not raised. */
  deactivate(memberId: bigint, type: AlarmType): AlarmMember | undefined {
    const byMember = this.#alarms.get(type);
    const alarm = byMember?.get(memberId);
    if (byMember === undefined || alarm === undefined) return undefined;
    byMember.delete(memberId);
    if (byMember.size === 0) this.#alarms.delete(type);
    this.#backend.delete("alarm", encodeKey(alarm));
    return alarm;
  }

  #remember(alarm: AlarmMember): void {
    let byMember = this.#alarms.get(alarm.alarm);
    if (byMember === undefined) {
      byMember = new Map();
      this.#alarms.set(alarm.alarm, byMember);
    }
    byMember.set(alarm.memberId, alarm);
  }
}

function encodeKey(alarm: AlarmMember): Uint8Array {
  return messageBytes({ size: sizeAlarmMember, encode: encodeAlarmMember }, alarm);
}
