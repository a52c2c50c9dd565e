/**
 * What the peer port answers besides raft: the member table, versions, lease requests forwarded by other members.
 *
 * Source: etcd server/etcdserver/api/etcdhttp/peer.go, server/lease/leasehttp/http.go.
 */

import { bytesFromLatin1, decodeUtf8, errorSpecs, lease, messageBytes } from "@etcd-ts/api";
import { decodeLeaseKeepAliveRequest } from "@etcd-ts/api/etcdserverpb";
import {
  decodeLeaseInternalRequest,
  encodeLeaseInternalResponse,
  sizeLeaseInternalResponse,
} from "@etcd-ts/api/leasepb";
import { memberToJson, stringifyExact } from "@etcd-ts/store";
import type { ServedRequest } from "../env.js";
import type { Member } from "../node/member.js";
import type { Refusal } from "../node/refusal.js";
import { readBody } from "./body.js";
import { hexId } from "./identity.js";

/** Source: leasehttp.maxLeaseRequestBytes. */
const leaseBodyBytesMax = 64 * 1024;
const plain = { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" };
const promotePrefix = "/members/promote/";
/** A request for a hash is one number. */
const hashBodyBytesMax = 4096;
const protobuf = { "content-type": "application/protobuf" };

/** What the endpoints need besides the member. */
export interface EndpointPorts {
  /** The body of `/version`. */
  versionBody(member: Member): string;
  /** Promotes a learner on this member, which must lead. */
  promote(member: Member, id: bigint, done: (refusal: Refusal | undefined) => void): void;
}

export class PeerEndpoints {
  readonly #member: Member;
  readonly #ports: EndpointPorts;

  constructor(member: Member, ports: EndpointPorts) {
    this.#member = member;
    this.#ports = ports;
  }

  /** Answers a request if its path is one of these; false when it is not. */
  handle(request: ServedRequest): boolean {
    const path = request.target.split("?")[0] ?? "";
    switch (path) {
      case "/version":
        this.#get(request, () =>
          request.respond(200, { "content-type": "application/json" }, this.#ports.versionBody(this.#member)),
        );
        return true;
      case "/members":
        this.#get(request, () => {
          request.respond(200, { ...this.#clusterHeader(), "content-type": "application/json" }, this.#members());
        });
        return true;
      case "/downgrade/enabled":
        this.#get(request, () => this.#downgradeEnabled(request));
        return true;
      case "/leases":
      case "/leases/internal":
        this.#leases(request, path);
        return true;
      case "/members/hashkv":
        this.#get(request, () => this.#hashKv(request));
        return true;
      default:
        if (!path.startsWith(promotePrefix)) return false;
        this.#promote(request, path.slice(promotePrefix.length));
        return true;
    }
  }

  #get(request: ServedRequest, answer: () => void): void {
    if (request.method === "GET") answer();
    else request.respond(405, { ...plain, allow: "GET" }, "Method Not Allowed\n");
  }

  #clusterHeader(): Record<string, string> {
    return { "x-etcd-cluster-id": hexId(this.#member.clusterId) };
  }

  #members(): string {
    return `${stringifyExact(this.#member.membership.members().map(memberToJson))}\n`;
  }

  #downgradeEnabled(request: ServedRequest): void {
    this.#member.linearizableRead((refusal) => {
      const headers = { ...this.#clusterHeader(), "content-type": "text/plain" };
      if (refusal !== undefined) {
        const text = `failed linearized read: ${errorSpecs[refusal].message}\n`;
        return request.respond(500, { ...headers, ...plain }, text);
      }
      request.respond(200, headers, String(this.#member.membership.downgrade().enabled));
    });
  }

  /** On the leader; a learner's own request comes through whichever member was asked. */
  #promote(request: ServedRequest, idText: string): void {
    const headers = { ...this.#clusterHeader(), ...plain };
    if (request.method !== "POST") return request.respond(405, { ...plain, allow: "POST" }, "Method Not Allowed\n");
    if (!/^\d{1,20}$/.test(idText)) return request.respond(404, headers, `member ${idText} not found in cluster\n`);
    this.#ports.promote(this.#member, BigInt(idText), (refusal) => {
      if (refusal === undefined) {
        const json = { ...this.#clusterHeader(), "content-type": "application/json" };
        return request.respond(200, json, this.#members());
      }
      if (refusal === "memberNotFound") return request.respond(404, headers, "membership: ID not found\n");
      if (refusal === "memberNotLearner") {
        return request.respond(412, headers, "membership: can only promote a learner member\n");
      }
      if (refusal === "learnerNotReady") {
        return request.respond(412, headers, `${errorSpecs.learnerNotReady.message}\n`);
      }
      request.respond(500, { ...headers, "content-type": "application/json" }, '{"message":"Internal Server Error"}');
    });
  }

  #hashKv(request: ServedRequest): void {
    const clusterId = request.headers["x-etcd-cluster-id"] ?? "";
    if (clusterId !== "" && clusterId !== hexId(this.#member.clusterId)) {
      return request.respond(412, plain, "cluster ID mismatch\n");
    }
    readBody(request, hashBodyBytesMax).then(
      (body) => {
        const revision = requestedRevision(body);
        if (revision === undefined) return request.respond(400, plain, "error unmarshalling request\n");
        const current = this.#member.mvcc.currentRevision();
        this.#member.runSliced(this.#member.mvcc.startHash(revision), (result) => {
          if (typeof result === "string")
            return request.respond(400, plain, `${errorSpecs[result].message.replace("etcdserver: ", "")}\n`);
          const json = stringifyExact({
            header: current === 0 ? {} : { revision: BigInt(current) },
            hash: result.hash === 0 ? undefined : BigInt(result.hash),
            compact_revision: result.compactRevision === 0 ? undefined : BigInt(result.compactRevision),
            hash_revision: result.hashRevision === 0 ? undefined : BigInt(result.hashRevision),
          });
          request.respond(200, { ...this.#clusterHeader(), "content-type": "application/json" }, json);
        });
      },
      () => request.respond(400, plain, "error reading body\n"),
    );
  }

  #leases(request: ServedRequest, path: string): void {
    if (request.method !== "POST") return request.respond(405, plain, "Method Not Allowed\n");
    readBody(request, leaseBodyBytesMax).then(
      (body) => {
        try {
          if (path === "/leases") this.#renew(request, body);
          else this.#timeToLive(request, body);
        } catch {
          request.respond(400, plain, "error unmarshalling request\n");
        }
      },
      (error: unknown) => {
        if (error instanceof RangeError) request.respond(413, plain, "request body too large\n");
        else request.respond(400, plain, "error reading body\n");
      },
    );
  }

  #renew(request: ServedRequest, body: Uint8Array): void {
    const { id } = decodeLeaseKeepAliveRequest(body);
    this.#member.leases.renewHere(id, (result) => {
      if ("refusal" in result) return refuseLease(request, result.refusal, 400);
      const answer = { id, ttl: result.ttl };
      const bytes = messageBytes(lease.leaseKeepAlive.response, answer);
      request.respond(200, protobuf, bytes);
    });
  }

  #timeToLive(request: ServedRequest, body: Uint8Array): void {
    const inner = decodeLeaseInternalRequest(body).leaseTimeToLiveRequest;
    if (inner === undefined) return request.respond(400, plain, "error unmarshalling request\n");
    const { id, keys } = inner;
    this.#member.leases.timeToLiveHere(id, keys, (result) => {
      if ("refusal" in result) return refuseLease(request, result.refusal, 500);
      const answer = {
        leaseTimeToLiveResponse: {
          header: {},
          id,
          ttl: result.ttl,
          grantedTtl: result.grantedTtl,
          keys: result.keys.map(bytesFromLatin1),
        },
      };
      const bytes = messageBytes({ size: sizeLeaseInternalResponse, encode: encodeLeaseInternalResponse }, answer);
      request.respond(200, protobuf, bytes);
    });
  }
}

/** `{"revision":N}`, N absent for 0; undefined for what is not that. */
function requestedRevision(body: Uint8Array): number | undefined {
  try {
    const { revision = 0 } = JSON.parse(decodeUtf8(body, 0, body.length) ?? "") as { revision?: unknown };
    return typeof revision === "number" && Number.isSafeInteger(revision) ? revision : undefined;
  } catch {
    return undefined;
  }
}

function refuseLease(request: ServedRequest, refusal: Refusal, otherwise: number): void {
  if (refusal === "leaseNotFound") return request.respond(404, plain, "lease not found\n");
  if (refusal === "timeoutWaitAppliedIndex") {
    return request.respond(408, plain, "waiting for node to catch up its applied index has timed out\n");
  }
  request.respond(otherwise, plain, "not a primary lessor\n");
}
