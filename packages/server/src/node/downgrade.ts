/**
 * The way back to the minor version before: an operator enables it for the cluster, replaces the members by older ones
 * one by one, and it ends by itself when all are.
 *
 * Source: etcd server/etcdserver/v3_server.go Downgrade, server/etcdserver/version/downgrade.go.
 */

import { InternalField, messageBytes } from "@etcd-ts/api";
import { encodeDowngradeInfoSetRequest, sizeDowngradeInfoSetRequest } from "@etcd-ts/api/membershippb";
import type { Member } from "./member.js";
import type { Refusal } from "./refusal.js";

export type DowngradeDone = (refusal: Refusal | undefined) => void;

/** `X.Y.0` of `X.Y` or `X.Y.Z`, with or without a pre-release; undefined for anything else. */
export function parseTargetVersion(text: string): string | undefined {
  const match = /^(\d+)\.(\d+)(\.\d+)?(-[0-9A-Za-z.-]+)?$/.exec(text);
  return match === null ? undefined : `${match[1]}.${match[2]}.0`;
}

/** Whether `target` is exactly one minor version below. */
export function isOneMinorBelow(target: string, version: string): boolean {
  const [targetMajor, targetMinor] = target.split(".").map(Number);
  const [major, minor] = version.split(".").map(Number);
  return targetMajor === major && targetMinor !== undefined && minor !== undefined && targetMinor + 1 === minor;
}

/** Whether the cluster could be downgraded to `version`, as a client wrote it. */
export function validateDowngrade(member: Member, version: string, done: DowngradeDone): void {
  const target = parseTargetVersion(version);
  if (target === undefined) return done("wrongDowngradeVersionFormat");
  if (member.membership.clusterVersion() === undefined) return done("clusterVersionUnavailable");
  member.linearizableRead((refusal) => {
    if (refusal !== undefined) return done(refusal);
    const clusterVersion = member.membership.clusterVersion() ?? "";
    if (!isOneMinorBelow(target, clusterVersion)) return done("invalidDowngradeTargetVersion");
    done(member.membership.downgrade().enabled ? "downgradeInProcess" : undefined);
  });
}

export function enableDowngrade(member: Member, version: string, done: DowngradeDone): void {
  validateDowngrade(member, version, (refusal) => {
    if (refusal !== undefined) return done(refusal);
    setDowngrade(member, { enabled: true, ver: parseTargetVersion(version) ?? "" }, done);
  });
}

/** Succeeds whatever comes of it, as etcd's does; what went wrong is logged. */
export function cancelDowngrade(member: Member, done: () => void): void {
  const report = (refusal: Refusal | undefined): void => {
    if (refusal !== undefined)
      member.logger.log("warn", "failed to cancel downgrade", { error: JSON.stringify(refusal) });
    done();
  };
  member.linearizableRead((refusal) => {
    if (refusal !== undefined) return report(refusal);
    if (!member.membership.downgrade().enabled) return report("noInflightDowngrade");
    setDowngrade(member, { enabled: false, ver: "" }, report);
  });
}

function setDowngrade(
  member: Member,
  request: { readonly enabled: boolean; readonly ver: string },
  done: DowngradeDone,
): void {
  const bytes = messageBytes({ size: sizeDowngradeInfoSetRequest, encode: encodeDowngradeInfoSetRequest }, request);
  member.propose(InternalField.downgradeInfoSet, bytes, (outcome) => {
    if (outcome.kind === "downgradeInfoSet") done(undefined);
    else if (outcome.kind === "refused") done(outcome.reason);
    else done(outcome.kind === "failed" ? outcome.refusal : "timeout");
  });
}
