import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { initialMembers, parseInitialCluster } from "./initial-cluster.js";
import { computeClusterId, computeMemberId } from "./member-id.js";

function sha1(bytes: Uint8Array): Uint8Array {
  return createHash("sha1").update(bytes).digest();
}

function hex(id: bigint): string {
  return id.toString(16).padStart(16, "0");
}

describe("ids", () => {
  it("are etcd's for a cluster of one", () => {
    const id = computeMemberId(sha1, { peerUrls: ["http://localhost:2380"], clusterToken: "etcd-cluster" });
    expect(hex(id)).toBe("8e9e05c52164694d");
    expect(hex(computeClusterId(sha1, [id]))).toBe("cdf818194e3a8c32");
    const other = computeMemberId(sha1, { peerUrls: ["http://127.0.0.1:42380"], clusterToken: "etcd-cluster" });
    expect(other).toBe(7383792418829112008n);
  });

  it("are etcd's for a cluster of three, one id with a leading zero", () => {
    const result = parseInitialCluster("c=http://10.0.1.12:2380,a=http://10.0.1.10:2380,b=http://10.0.1.11:2380");
    if (result.kind === "invalid") throw new Error(result.message);
    const members = initialMembers(sha1, result.cluster, "etcd-cluster-1");
    if (members.kind === "invalid") throw new Error(members.message);
    expect(members.members.map((member) => `${member.name} ${hex(member.id)}`)).toEqual([
      "c 08a0a11c6194fc77",
      "a 140fedbeeb74765d",
      "b d5dc5f8d75d04e29",
    ]);
    expect(hex(members.clusterId)).toBe("acccc8912db0cd57");
  });

  it("hash the time of members added at run time", () => {
    const id = computeMemberId(sha1, {
      peerUrls: ["http://127.0.0.1:2480"],
      clusterToken: "",
      unixSeconds: 1700000000,
    });
    expect(hex(id)).toBe("5513cdf4ff922df1");
  });

  it("do not depend on the order of URLs", () => {
    const of = (peerUrls: string[]): bigint => computeMemberId(sha1, { peerUrls, clusterToken: "t" });
    expect(of(["http://a:1", "http://b:1"])).toBe(of(["http://b:1", "http://a:1"]));
  });
});
