/**
 * A member of the cluster and its JSON form: in the bucket `members`, in the context of a configuration change and at
 * the peer endpoint `/members`. Source: server/etcdserver/api/membership/member.go.
 */

import { isObject, type JsonObject, type JsonValue, stringifyExact } from "./exact-json.js";

export interface Member {
  /** Unsigned 64-bit, never 0 in a cluster. */
  readonly id: bigint;
  /** Where its peers reach it, sorted. */
  readonly peerUrls: readonly string[];
  readonly isLearner: boolean;
  /** Empty until the member has started once. */
  readonly name: string;
  /** Where clients reach it; empty until it has started once. */
  readonly clientUrls: readonly string[];
}

/** A member that has never announced its name has never run. */
export function isStarted(member: Member): boolean {
  return member.name !== "";
}

/** The object to write; see `stringifyMember`. Go writes an absent list of peer URLs as null. */
export function memberToJson(member: Member): JsonObject {
  return {
    id: member.id,
    peerURLs: member.peerUrls.length === 0 ? null : member.peerUrls,
    isLearner: member.isLearner ? true : undefined,
    name: member.name === "" ? undefined : member.name,
    clientURLs: member.clientUrls.length === 0 ? undefined : member.clientUrls,
  };
}

export function stringifyMember(member: Member): string {
  return stringifyExact(memberToJson(member));
}

/** The member a parsed JSON value holds, undefined when it is none. Absent fields are empty. */
export function memberFromJson(value: JsonValue): Member | undefined {
  if (!isObject(value)) return undefined;
  const { id = 0n, peerURLs, isLearner = false, name = "", clientURLs } = value;
  if (typeof id !== "bigint" || id !== BigInt.asUintN(64, id)) return undefined;
  if (typeof isLearner !== "boolean" || typeof name !== "string") return undefined;
  const peerUrls = stringList(peerURLs);
  const clientUrls = stringList(clientURLs);
  if (peerUrls === undefined || clientUrls === undefined) return undefined;
  return { id, peerUrls, isLearner, name, clientUrls };
}

function stringList(value: JsonValue | undefined): readonly string[] | undefined {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) return undefined;
  const strings: string[] = [];
  for (const element of value) {
    if (typeof element !== "string") return undefined;
    strings.push(element);
  }
  return strings;
}
