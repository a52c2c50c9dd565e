/** All gRPC services of a member, behind the checks that every call passes first. */

import { kv, maintenance } from "@etcd-ts/api";
import type { MethodHandler, ServerCall, ServiceTable } from "@etcd-ts/grpc";
import type { Member } from "../node/member.js";
import { type ClusterServiceOptions, clusterServices } from "./cluster.js";
import { electionServices } from "./election.js";
import type { HealthService } from "./health.js";
import { type KvServiceOptions, kvServices } from "./kv.js";
import { leaseServices } from "./lease.js";
import { lockServices } from "./lock.js";
import { maintenanceServices } from "./maintenance.js";
import { ownClient } from "./own-client.js";
import { refuse } from "./status.js";
import { type WatchServiceOptions, watchServices } from "./watch.js";

export type ServiceOptions = KvServiceOptions & WatchServiceOptions & ClusterServiceOptions;

/** Looks of a call's leader monitor that may find no leader before it is ended. Source: etcd v3rpc/interceptor.go. */
const leaderMissesMax = 3;

export function memberServices(member: Member, health: HealthService, options: ServiceOptions): ServiceTable {
  const leaderless = new LeaderMonitor(member);
  const table = new Map<string, MethodHandler>();
  const data = [kvServices(member, options), watchServices(member, options), leaseServices(member)];
  const client = ownClient(new Map(data.flatMap((service) => [...service])), member.clock);
  const services = [
    ...data,
    clusterServices(member, options),
    maintenanceServices(member),
    lockServices(client),
    electionServices(client),
  ];
  for (const service of services) {
    for (const [path, handler] of service) table.set(path, admitting(member, leaderless, path, handler));
  }
  for (const [path, handler] of health.table()) table.set(path, handler);
  return table;
}

/** Source: etcd server/etcdserver/api/v3rpc/interceptor.go. */
function admitting(member: Member, monitor: LeaderMonitor, path: string, handler: MethodHandler): MethodHandler {
  if (handler.kind === "request") {
    return {
      kind: "request",
      handle: (call, request) => {
        if (member.isLearner && !isServedByLearners(path, request)) return refuse(call, "notSupportedForLearner");
        if (requiresLeader(call) && member.leader === 0n) return refuse(call, "noLeader");
        handler.handle(call, request);
      },
    };
  }
  return {
    kind: "stream",
    open: (call) => {
      if (member.isLearner) {
        refuse(call, "notSupportedForLearner");
        return ignored;
      }
      if (requiresLeader(call)) {
        if (member.leader === 0n) {
          refuse(call, "noLeader");
          return ignored;
        }
        monitor.watch(call);
      }
      return handler.open(call);
    },
  };
}

const ignored = { onMessage: (): void => {}, onHalfClose: (): void => {} };

/** A learner answers for itself, from its own data. */
function isServedByLearners(path: string, request: Uint8Array): boolean {
  if (path === maintenance.status.path || path === maintenance.snapshot.path) return true;
  if (path !== kv.range.path) return false;
  try {
    return kv.range.request.decode(request).serializable;
  } catch {
    // The handler says what is wrong with it.
    return true;
  }
}

/** Source: etcd api/v3rpc/rpctypes/metadatafields.go. */
function requiresLeader(call: ServerCall): boolean {
  return call.header("hasleader") === "true";
}

/** Ends streams that asked for a leader once this member has known none for several looks in a row. */
class LeaderMonitor {
  readonly #calls = new Set<ServerCall>();
  readonly #member: Member;
  #misses = 0;
  #running = false;

  constructor(member: Member) {
    this.#member = member;
  }

  watch(call: ServerCall): void {
    this.#calls.add(call);
    call.onCancel(() => this.#calls.delete(call));
    if (this.#running) return;
    this.#running = true;
    this.#look();
  }

  #look(): void {
    this.#member.clock.setTimer(this.#member.electionTimeoutMs, () => {
      this.#misses = this.#member.leader === 0n ? this.#misses + 1 : 0;
      for (const call of this.#calls) {
        if (call.ended) this.#calls.delete(call);
        else if (this.#misses >= leaderMissesMax) refuse(call, "noLeader");
      }
      this.#running = this.#calls.size > 0;
      if (this.#running) this.#look();
    });
  }
}
