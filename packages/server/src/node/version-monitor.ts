/**
 * Keeps the cluster version at the lowest version of all members (the leader's task), and the database's storage
 * version at the cluster's.
 *
 * Source: etcd server/etcdserver/version/monitor.go.
 */

import { encodeUtf8, InternalField, messageBytes } from "@etcd-ts/api";
import { encodeClusterVersionSetRequest, sizeClusterVersionSetRequest } from "@etcd-ts/api/membershippb";
import type { Timer } from "../env.js";
import { clusterVersionOf, isOlderLine, minClusterVersion, serverVersion } from "../version.js";
import { cancelDowngrade, isOneMinorBelow } from "./downgrade.js";
import type { Member } from "./member.js";

const intervalMs = 4000;
const storageVersionKey = encodeUtf8("storageVersion");

export class VersionMonitor {
  readonly #member: Member;
  /** Versions of all members, undefined for one that cannot be asked. */
  readonly #versions: () => Promise<readonly (string | undefined)[]>;
  readonly #unsubscribe: () => void;
  #timer: Timer | undefined;
  #busy = false;
  #lastVersions: readonly (string | undefined)[] = [];
  #stopped = false;

  constructor(member: Member, versions: () => Promise<readonly (string | undefined)[]>) {
    this.#member = member;
    this.#versions = versions;
    this.#unsubscribe = member.onTermBegan(() => this.#check());
  }

  start(): void {
    this.#check();
    this.#arm();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#unsubscribe();
  }

  #arm(): void {
    this.#timer = this.#member.clock.setTimer(intervalMs, () => {
      this.#check();
      if (!this.#stopped) this.#arm();
    });
  }

  #check(): void {
    this.#updateStorageVersion();
    if (this.#busy || this.#stopped || !this.#member.isLeader) return;
    this.#busy = true;
    this.#versions()
      .then((versions) => this.#decide(versions))
      .catch((error: unknown) => {
        this.#member.logger.log("warn", "failed to collect the versions of the members", { error: String(error) });
      })
      .finally(() => {
        this.#busy = false;
      });
  }

  #decide(versions: readonly (string | undefined)[]): void {
    if (this.#stopped || !this.#member.isLeader) return;
    this.#lastVersions = versions;
    const known = versions.filter((version): version is string => version !== undefined);
    const minimal = known.length === versions.length ? lowest(known) : undefined;
    const current = this.#member.membership.clusterVersion();
    const { enabled, targetVersion } = this.#member.membership.downgrade();
    if (current === undefined) this.#propose(minimal ?? minClusterVersion);
    else if (enabled) this.#goOnDowngrading(current, minimal, targetVersion);
    else if (minimal !== undefined && isOlderLine(current, minimal)) this.#propose(minimal);
  }

  /** The cluster version goes down first; when all members have followed, the downgrade is done. */
  #goOnDowngrading(current: string, minimal: string | undefined, target: string): void {
    if (minimal === undefined) return;
    if (current !== target) {
      if (isOneMinorBelow(target, current) && isOneMinorBelow(target, minimal)) this.#propose(target);
      return;
    }
    if (minimal !== target || !this.#areAll(target)) return;
    this.#member.logger.log("info", "the cluster has been downgraded", { "cluster-version": target });
    cancelDowngrade(this.#member, () => {});
  }

  /** Whether every member that was asked last runs this minor version. */
  #areAll(version: string): boolean {
    return this.#lastVersions.every((one) => one !== undefined && clusterVersionOf(one) === version);
  }

  #propose(ver: string): void {
    const bytes = messageBytes({ size: sizeClusterVersionSetRequest, encode: encodeClusterVersionSetRequest }, { ver });
    this.#member.propose(InternalField.clusterVersionSet, bytes, (outcome) => {
      if (outcome.kind !== "clusterVersionSet") return;
      this.#member.logger.log("info", "set initial cluster version", { "cluster-version": ver });
      this.#updateStorageVersion();
    });
  }

  /** The schema is the same since 3.6: only the recorded version changes. */
  #updateStorageVersion(): void {
    const { membership } = this.#member;
    const version = membership.clusterVersion();
    if (this.#stopped || version === undefined || version === minClusterVersion) return;
    if (this.#member.storageVersion === version) return;
    this.#member.putMeta(storageVersionKey, encodeUtf8(version));
    this.#member.logger.log("info", "updated storage version", { "new-storage-version": version });
  }
}

function lowest(versions: readonly string[]): string {
  return versions.map(clusterVersionOf).reduce((a, b) => (isOlderLine(b, a) ? b : a), clusterVersionOf(serverVersion));
}
