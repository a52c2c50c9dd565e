import { expect, test } from "vitest";
import type { Env } from "../env.js";
import { joinCluster } from "./join.js";

const member = (id: string, isLearner = false) =>
  `{"id":${id.charCodeAt(1)},"peerURLs":["http://${id}:2380"],"name":"${id}","clientURLs":[],"isLearner":${isLearner}}`;
const configured = new Map(["m1", "m2", "m3"].map((name) => [name, [`http://${name}:2380`]]));
const options = { name: "m3", maxLearners: 1 };

/** A network in which each member tells the members that it knows. */
function env(known: Readonly<Record<string, readonly string[] | undefined>>): Env {
  const post = async ({ url }: { readonly url: string }) => {
    const { hostname, pathname } = new URL(url);
    const members = known[hostname];
    if (members === undefined) throw new Error("connection refused");
    const texts: Record<string, string> = {
      "/members": `[${members.join(",")}]`,
      "/version": '{"etcdserver":"3.7.3","etcdcluster":"3.7.0"}',
      "/downgrade/enabled": "false",
    };
    const body = new TextEncoder().encode(texts[pathname]);
    return { status: 200, headers: { "x-etcd-cluster-id": "abc" }, body };
  };
  return { network: { post }, logger: { log: () => {} } } as unknown as Env;
}

const all = [member("m1", true), member("m2"), member("m3")];
const old = [member("m1", true), member("m2")];

test("a member that does not know the new one yet does not keep it from joining", async () => {
  const { self, clusterId } = await joinCluster(env({ m1: old, m2: all }), configured, options);
  expect([self.name, clusterId]).toEqual(["m3", 0xabcn]);
});

test("when none knows it, the reason is what the first one told", async () => {
  const unequal = "member count is unequal";
  await expect(joinCluster(env({ m1: old, m2: old }), configured, options)).rejects.toThrow(unequal);
  const others = [...old, member("x9")];
  await expect(joinCluster(env({ m1: old, m2: others }), configured, options)).rejects.toThrow(unequal);
  await expect(joinCluster(env({ m2: old }), configured, options)).rejects.toThrow(unequal);
});

test("nobody answers", async () => {
  await expect(joinCluster(env({}), configured, options)).rejects.toThrow("cannot fetch cluster info from peer urls");
});
