/**
 * The member table, the ids removed for ever, the cluster version and the running downgrade, in the buckets `members`,
 * `members_removed` and `cluster`.
 *
 * A configuration change is validated (`refusal`) and applied (`apply`) at its place in the log, from the table and the
 * change alone, so that all members decide alike. The table always agrees with raft's configuration: a member is a
 * voter or a learner by the type of the change that made it so.
 *
 * Left to others: raft, connections to peers, the checks before a proposal (strict-reconfig.ts), what a new cluster
 * version means for this member.
 *
 * Source: server/etcdserver/api/membership/cluster.go, server/storage/schema/membership.go.
 */

import { encodeUtf8, limits, type Reason } from "@etcd-ts/api";
import { assert } from "../assert.js";
import type { Backend } from "../backend.js";
import { type ConfChange, ConfChangeType, readContext } from "./conf-change.js";
import { type ConfState, confStateOf } from "./conf-state.js";
import { isObject, parseExact, stringifyExact } from "./exact-json.js";
import { isStarted, type Member, memberFromJson, stringifyMember } from "./member.js";
import { rowText } from "./row-text.js";

export interface Downgrade {
  readonly enabled: boolean;
  /** `3.6.0`; empty when none was ever asked for. */
  readonly targetVersion: string;
}

/** What a configuration change did, for the transport. */
export type MembershipEffect =
  | { readonly kind: "memberAdded"; readonly member: Member }
  | { readonly kind: "learnerPromoted"; readonly member: Member }
  | { readonly kind: "memberUpdated"; readonly member: Member }
  | { readonly kind: "memberRemoved"; readonly id: bigint };

export interface MembershipOptions {
  /** `--max-learners`; default 1. */
  readonly learnersMax?: number;
}

const clusterVersionKey = encodeUtf8("clusterVersion");
const downgradeKey = encodeUtf8("downgrade");
const noDowngrade: Downgrade = { enabled: false, targetVersion: "" };

export class Membership {
  #backend: Backend;
  readonly #learnersMax: number;
  readonly #members = new Map<bigint, Member>();
  readonly #removed = new Set<bigint>();
  #clusterVersion: string | undefined;
  #downgrade: Downgrade = noDowngrade;

  constructor(backend: Backend, options?: MembershipOptions) {
    this.#backend = backend;
    this.#learnersMax = options?.learnersMax ?? limits.maxLearners;
  }

  /** Loads everything from a backend, at boot or after a snapshot. Rows that cannot be read stop the node. */
  restore(backend: Backend): void {
    this.#backend = backend;
    this.#members.clear();
    this.#removed.clear();
    scanAll(backend, "members", (key, value) => {
      const member = memberFromJson(parseExact(rowText(value)));
      assert(member !== undefined, `the row of member ${rowText(key)} is a member`);
      assert(memberIdText(member.id) === rowText(key), `the row of member ${rowText(key)} holds its id`);
      this.#members.set(member.id, member);
    });
    scanAll(backend, "members_removed", (key) => {
      this.#removed.add(BigInt(`0x${rowText(key)}`));
    });
    const version = backend.get("cluster", clusterVersionKey);
    this.#clusterVersion = version === undefined ? undefined : rowText(version);
    const downgrade = backend.get("cluster", downgradeKey);
    this.#downgrade = downgrade === undefined ? noDowngrade : parseDowngrade(rowText(downgrade));
  }

  /** All members, ascending by id. */
  members(): Member[] {
    return [...this.#members.values()].sort((left, right) => (left.id < right.id ? -1 : 1));
  }

  member(id: bigint): Member | undefined {
    return this.#members.get(id);
  }

  isRemoved(id: bigint): boolean {
    return this.#removed.has(id);
  }

  voters(): Member[] {
    return this.members().filter((member) => !member.isLearner);
  }

  startedVoterCount(): number {
    return this.voters().filter(isStarted).length;
  }

  confState(): ConfState {
    return confStateOf(this.members());
  }

  /** Why this change must not be applied, undefined when it may be. */
  refusal(change: ConfChange): Reason | undefined {
    const id = change.nodeId;
    if (this.#removed.has(id)) return "memberNotFound";
    switch (change.type) {
      case ConfChangeType.addNode:
      case ConfChangeType.addLearnerNode:
        return this.#refuseAdd(change);
      case ConfChangeType.removeNode:
        if (!this.#members.has(id)) return "memberNotFound";
        // Raft cannot go on without a voter; etcd's members crash on this one.
        return this.#isOnlyVoter(id) ? "memberNotEnoughStarted" : undefined;
      case ConfChangeType.updateNode: {
        if (!this.#members.has(id)) return "memberNotFound";
        const context = readContext(change);
        if (context === undefined) return "memberBadURLs";
        return this.#isUrlTaken(context.member.peerUrls, id) ? "peerURLExist" : undefined;
      }
      default:
        return "memberNotFound";
    }
  }

  /** Applies a change that `refusal` let through, in the table and in the backend. */
  apply(change: ConfChange): MembershipEffect {
    assert(this.refusal(change) === undefined, "an applied change was validated");
    const id = change.nodeId;
    if (change.type === ConfChangeType.removeNode) {
      this.#members.delete(id);
      this.#removed.add(id);
      this.#backend.delete("members", memberKey(id));
      this.#backend.put("members_removed", memberKey(id), encodeUtf8("removed"));
      return { kind: "memberRemoved", id };
    }
    const context = readContext(change);
    assert(context !== undefined, "a validated change has a context");
    const current = this.#members.get(id);
    if (change.type === ConfChangeType.updateNode) {
      assert(current !== undefined, "an updated member exists");
      return { kind: "memberUpdated", member: this.#store({ ...current, peerUrls: context.member.peerUrls }) };
    }
    if (current !== undefined)
      return { kind: "learnerPromoted", member: this.#store({ ...current, isLearner: false }) };
    const isLearner = change.type === ConfChangeType.addLearnerNode;
    return { kind: "memberAdded", member: this.#store({ ...context.member, isLearner }) };
  }

  /** Records what a started member announces of itself. False, and nothing done, when it is unknown or removed. */
  setAttributes(id: bigint, attributes: { name: string; clientUrls: readonly string[] }): boolean {
    const member = this.#members.get(id);
    if (member === undefined) return false;
    this.#store({ ...member, name: attributes.name, clientUrls: [...attributes.clientUrls] });
    return true;
  }

  /** Ids of members that were removed, ascending. */
  removedIds(): readonly bigint[] {
    return [...this.#removed].sort((a, b) => (a < b ? -1 : 1));
  }

  /** `3.7.0`; undefined until the first leader has decided it. */
  clusterVersion(): string | undefined {
    return this.#clusterVersion;
  }

  setClusterVersion(version: string): void {
    this.#clusterVersion = version;
    this.#backend.put("cluster", clusterVersionKey, encodeUtf8(version));
  }

  downgrade(): Downgrade {
    return this.#downgrade;
  }

  /** The target of a downgrade that is not enabled is forgotten. */
  setDowngrade(downgrade: Downgrade): void {
    this.#downgrade = downgrade.enabled ? downgrade : noDowngrade;
    const { targetVersion, enabled } = this.#downgrade;
    this.#backend.put(
      "cluster",
      downgradeKey,
      encodeUtf8(stringifyExact({ "target-version": targetVersion, enabled })),
    );
  }

  #refuseAdd(change: ConfChange): Reason | undefined {
    const context = readContext(change);
    if (context === undefined) return "memberBadURLs";
    const current = this.#members.get(change.nodeId);
    if (context.isPromote && change.type === ConfChangeType.addNode) {
      if (current === undefined) return "memberNotFound";
      return current.isLearner ? undefined : "memberNotLearner";
    }
    if (current !== undefined) return "memberExist";
    if (this.#isUrlTaken(context.member.peerUrls, undefined)) return "peerURLExist";
    if (change.type === ConfChangeType.addLearnerNode && this.#learnerCount() >= this.#learnersMax) {
      return "tooManyLearners";
    }
    return undefined;
  }

  #isUrlTaken(peerUrls: readonly string[], except: bigint | undefined): boolean {
    for (const member of this.#members.values()) {
      if (member.id !== except && member.peerUrls.some((url) => peerUrls.includes(url))) return true;
    }
    return false;
  }

  #isOnlyVoter(id: bigint): boolean {
    const voters = this.voters();
    return voters.length === 1 && voters[0]?.id === id;
  }

  #learnerCount(): number {
    return this.#members.size - this.voters().length;
  }

  #store(member: Member): Member {
    this.#members.set(member.id, member);
    this.#backend.put("members", memberKey(member.id), encodeUtf8(stringifyMember(member)));
    return member;
  }
}

function scanAll(
  backend: Backend,
  bucket: "members" | "members_removed",
  visit: (key: Uint8Array, value: Uint8Array) => void,
): void {
  backend.scan(bucket, new Uint8Array(0), undefined, (key, value) => {
    visit(key, value);
    return true;
  });
}

/** Lower-case hexadecimal without padding, as ids are printed everywhere. */
export function memberIdText(id: bigint): string {
  return id.toString(16);
}

function memberKey(id: bigint): Uint8Array {
  return encodeUtf8(memberIdText(id));
}

function parseDowngrade(text: string): Downgrade {
  const value = parseExact(text);
  assert(isObject(value), "the stored downgrade is an object");
  const { "target-version": targetVersion = "", enabled = false } = value;
  assert(typeof targetVersion === "string" && typeof enabled === "boolean", "the stored downgrade has its fields");
  return { enabled, targetVersion };
}
