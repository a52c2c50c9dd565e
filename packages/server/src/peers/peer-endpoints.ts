/**
 * What the peer port answers besides raft: the member table, versions, lease requests forwarded by other members.
 *
 * Source: etcd server/etcdserver/api/etcdhttp/peer.go, server/lease/leasehttp/http.go.
 */

import { bytesFromLatin1, errorSpecs } from "@etcd-ts/api";
import {
  decodeLeaseKeepAliveRequest,
  encodeLeaseKeepAliveResponse,
  sizeLeaseKeepAliveResponse,
} from "@etcd-ts/api/etcdserverpb";
import {
  decodeLeaseInternalRequest,
  encodeLeaseInternalResponse,
  sizeLeaseInternalResponse,
} from "@etcd-ts/api/leasepb";
import { memberToJson, stringifyExact } from "@etcd-ts/store";
import type { ServedRequest } from "../env.js";
import { versionBody } from "../http/client-handler.js";
import type { Member } from "../node/member.js";
import type { Refusal } from "../node/refusal.js";
import { readBody } from "./body.js";
import { hexId } from "./identity.js";

/** Source: leasehttp.maxLeaseRequestBytes. */
const leaseBodyBytesMax = 64 * 1024;
const plain = { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" };
const protobuf = { "content-type": "application/protobuf" };

export class PeerEndpoints {
  readonly #member: Member;

  constructor(member: Member) {
    this.#member = member;
  }

  /** Answers a request if its path is one of these; false when it is not. */
  handle(request: ServedRequest): boolean {
    const path = request.target.split("?")[0] ?? "";
    switch (path) {
      case "/version":
        this.#get(request, () => request.respond(200, { "content-type": "application/json" }, this.#version()));
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
      default:
        return false;
    }
  }

  #get(request: ServedRequest, answer: () => void): void {
    if (request.method === "GET") answer();
    else request.respond(405, { ...plain, allow: "GET" }, "Method Not Allowed\n");
  }

  #clusterHeader(): Record<string, string> {
    return { "x-etcd-cluster-id": hexId(this.#member.clusterId) };
  }

  #version(): string {
    const member = this.#member;
    return versionBody({
      clusterVersion: () => member.membership.clusterVersion(),
      storageVersion: () => member.storageVersion || undefined,
    });
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
      const bytes = new Uint8Array(sizeLeaseKeepAliveResponse(answer));
      encodeLeaseKeepAliveResponse(answer, bytes, 0);
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
      const bytes = new Uint8Array(sizeLeaseInternalResponse(answer));
      encodeLeaseInternalResponse(answer, bytes, 0);
      request.respond(200, protobuf, bytes);
    });
  }
}

function refuseLease(request: ServedRequest, refusal: Refusal, otherwise: number): void {
  if (refusal === "leaseNotFound") return request.respond(404, plain, "lease not found\n");
  if (refusal === "timeoutWaitAppliedIndex") {
    return request.respond(408, plain, "waiting for node to catch up its applied index has timed out\n");
  }
  request.respond(otherwise, plain, "not a primary lessor\n");
}
