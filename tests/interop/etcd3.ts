/**
 * The npm client `etcd3` against a member, over TLS and through a proxy that cuts its connections.
 *
 *   node build/tests/interop/etcd3.js [--server CMD]
 */

import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Etcd3, EtcdLockFailedError, STMConflictError } from "etcd3";
import { Authority } from "./support/authority.js";
import { ourServer, type Totals } from "./support/comparison.js";
import { Member, splitCommand } from "./support/member.js";
import { CuttableProxy } from "./support/proxy.js";

interface World {
  /** Connected through the proxy. */
  readonly client: Etcd3;
  /** Another client of the same member. */
  readonly other: Etcd3;
  readonly proxy: CuttableProxy;
}

type Check = (world: World) => Promise<void>;

const checkTimeoutMs = 30_000;

const checks: Readonly<Record<string, Check>> = {
  "builders: put, get, getAll, delete": async ({ client }) => {
    await client.put("b/one").value("1");
    await client.put("b/two").value("2");
    await client.put("b/three").value(Buffer.from([0, 255]));
    strictEqual(await client.get("b/one").string(), "1");
    strictEqual(await client.get("b/one").number(), 1);
    deepStrictEqual(await client.get("b/three").buffer(), Buffer.from([0, 255]));
    strictEqual(await client.get("b/missing"), null);
    ok(await client.get("b/one").exists());
    deepStrictEqual(await client.getAll().prefix("b/t").keys(), ["b/three", "b/two"]);
    deepStrictEqual(await client.getAll().prefix("b/").sort("Key", "Descend").limit(2).keys(), ["b/two", "b/three"]);
    strictEqual(await client.getAll().prefix("b/").count(), 3);
    deepStrictEqual(await client.getAll().inRange({ start: "b/one", end: "b/p" }).strings(), { "b/one": "1" });
    const previous = await client.put("b/one").value("uno").getPrevious();
    strictEqual(previous?.value.toString(), "1");
    const removed = await client.delete().key("b/one").getPrevious();
    strictEqual(removed[0]?.value.toString(), "uno");
    strictEqual((await client.delete().prefix("b/")).deleted, "2");
  },

  "transaction: compare and both branches": async ({ client }) => {
    await client.put("t").value("1");
    const taken = await client
      .if("t", "Value", "==", "1")
      .then(client.put("t").value("2"))
      .else(client.get("t"))
      .commit();
    ok(taken.succeeded);
    const refused = await client
      .if("t", "Value", "==", "1")
      .then(client.put("t").value("3"))
      .else(client.get("t"))
      .commit();
    ok(!refused.succeeded);
    strictEqual(refused.responses[0]?.response_range.kvs[0]?.value.toString(), "2");
    const byVersion = await client
      .if("t", "Version", ">", 1)
      .and("t", "Create", "!=", 0)
      .then(client.delete().key("t"))
      .commit();
    ok(byVersion.succeeded);
    strictEqual(await client.get("t"), null);
  },

  "software transactional memory: concurrent transfers": async ({ client, other }) => {
    // In one transaction: the client reads the second key as of the revision of the first.
    await client
      .if("stm/a", "Create", "==", 0)
      .then(client.put("stm/a").value(100), client.put("stm/b").value(100))
      .commit();
    const transfer = async (etcd: Etcd3, amount: number): Promise<void> => {
      try {
        await etcd.stm().transact(async (tx) => {
          const from = (await tx.get("stm/a").number()) ?? 0;
          const to = (await tx.get("stm/b").number()) ?? 0;
          await tx.put("stm/a").value(from - amount);
          await tx.put("stm/b").value(to + amount);
        });
      } catch (error) {
        // The client gives up after a few conflicts; some transfer has won each of them.
        ok(error instanceof STMConflictError);
        await transfer(etcd, amount);
      }
    };
    await Promise.all([1, 2, 3, 4, 5].flatMap((amount) => [transfer(client, amount), transfer(other, amount)]));
    strictEqual(await client.get("stm/a").number(), 70);
    strictEqual(await client.get("stm/b").number(), 130);
  },

  "watch: events in order through cut connections": async ({ client, other, proxy }) => {
    const watcher = await client.watch().prefix("w/").create();
    const seen: string[] = [];
    watcher.on("put", (kv) => seen.push(`${kv.key.toString()}=${kv.value.toString()}`));
    watcher.on("delete", (kv) => seen.push(`${kv.key.toString()} deleted`));
    const allSeen = async (): Promise<void> => {
      while (seen.length < expected.length) {
        await once(watcher, "data");
      }
    };
    const expected: string[] = [];
    const accepted = proxy.accepted;
    for (let i = 0; i < 60; i++) {
      await other.put("w/key").value(i);
      expected.push(`w/key=${i}`);
      if (i % 20 === 10) {
        // The client itself forgets events that were on their way when it lost its connection.
        await allSeen();
        const reconnected = once(watcher, "connected");
        proxy.cut();
        // What is written while the client is away must reach it too.
        await other.put("w/away").value(i);
        expected.push(`w/away=${i}`);
        await reconnected;
      }
    }
    await other.delete().key("w/key");
    expected.push("w/key deleted");
    await allSeen();
    deepStrictEqual(seen, expected);
    ok(proxy.accepted >= accepted + 3);
    await watcher.cancel();
  },

  "watch: from a revision, and one that was compacted": async ({ client }) => {
    const first = await client.put("r/key").value("1");
    await client.put("r/key").value("2");
    const watcher = await client.watch().key("r/key").startRevision(first.header.revision).create();
    const values: string[] = [];
    await new Promise<void>((resolve) => {
      watcher.on("put", (kv) => {
        values.push(kv.value.toString());
        if (values.length === 2) {
          resolve();
        }
      });
    });
    deepStrictEqual(values, ["1", "2"]);
    await watcher.cancel();
  },

  "lease: keys vanish with it, keepalive, revoke": async ({ client }) => {
    const lease = client.lease(60, { autoKeepAlive: false });
    await lease.put("l/key").value("x");
    strictEqual((await lease.keepaliveOnce()).TTL, "60");
    const id = await lease.grant();
    strictEqual((await client.leaseClient.leaseTimeToLive({ ID: id, keys: true })).keys[0]?.toString(), "l/key");
    await lease.revoke();
    strictEqual(await client.get("l/key"), null);
    await rejects(lease.put("l/key").value("y").exec());
  },

  "lease: kept alive through cut connections": async ({ client, proxy }) => {
    const lease = client.lease(3);
    lease.on("lost", () => {});
    await lease.put("l/kept").value("x");
    await once(lease, "keepaliveSucceeded");
    proxy.cut();
    for (let keepalives = 0; keepalives < 3; keepalives++) {
      await once(lease, "keepaliveSucceeded");
    }
    strictEqual(await client.get("l/kept").string(), "x");
    await lease.revoke();
  },

  "lock: one holder at a time": async ({ client, other }) => {
    let holders = 0;
    const lock = client.lock("mutex").ttl(30);
    await lock.acquire();
    await rejects(other.lock("mutex").ttl(30).acquire(), EtcdLockFailedError);
    await lock.release();
    await other.lock("mutex").do(async () => {
      holders++;
    });
    strictEqual(holders, 1);
  },

  "election: campaign, observe, resign": async ({ client, other }) => {
    const observer = await other.election("president").observe();
    const changes: (string | undefined)[] = [];
    observer.on("change", (value) => changes.push(value));
    const first = client.election("president").campaign("first");
    await once(first, "elected");
    strictEqual(await other.election("president").leader(), "first");
    const second = other.election("president").campaign("second");
    const elected = once(second, "elected");
    await first.proclaim("still first");
    await first.resign();
    await elected;
    strictEqual(await client.election("president").leader(), "second");
    await second.resign();
    await observer.cancel();
    ok(changes.includes("first"));
  },

  "namespace: keys are prefixed, also in locks and watches": async ({ client }) => {
    const namespace = client.namespace("ns/");
    await namespace.put("key").value("1");
    strictEqual(await client.get("ns/key").string(), "1");
    deepStrictEqual(await namespace.getAll().keys(), ["key"]);
    await namespace.delete().all();
    strictEqual(await client.get("ns/key"), null);
  },

  "maintenance: status and cluster": async ({ client }) => {
    strictEqual((await client.maintenance.status()).version, "3.7.3");
    strictEqual((await client.cluster.memberList({})).members.length, 1);
    strictEqual((await client.maintenance.alarm({ action: "Get" })).alarms.length, 0);
  },

  "errors: an empty key and an unknown lease": async ({ client }) => {
    await rejects(client.kv.put({ key: Buffer.alloc(0), value: Buffer.alloc(0) }), /key is not provided/);
    await rejects(client.put("e").value("x").lease("12345").exec(), /requested lease not found/);
  },
};

/** Runs the checks; the arguments are those of the command line. */
export async function run(args: string[]): Promise<Totals> {
  const { values } = parseArgs({ args, options: { server: { type: "string", default: ourServer } } });
  const directory = mkdtempSync(join(tmpdir(), "etcd3-"));
  const totals = { passed: 0, failed: 0 };
  try {
    const authority = new Authority(directory, "authority");
    const tls = authority.sign("server", ["127.0.0.1", "localhost"]);
    const member = await Member.start({ name: "m", command: splitCommand(values.server), tls });
    try {
      await runChecks(member, readFileSync(authority.certificate), totals);
    } finally {
      await member.close();
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return totals;
}

async function runChecks(member: Member, rootCertificate: Buffer, totals: { passed: number; failed: number }) {
  for (const [name, check] of Object.entries(checks)) {
    const proxy = await CuttableProxy.start(member);
    const connect = (port: number): Etcd3 =>
      new Etcd3({ hosts: `https://localhost:${port}`, credentials: { rootCertificate } });
    const world: World = { client: connect(proxy.port), other: connect(member.port), proxy };
    try {
      await withTimeout(check(world));
      totals.passed++;
      console.log(`✓ ${name}`);
    } catch (error) {
      totals.failed++;
      console.log(`✗ ${name}\n    ${error instanceof Error ? error.stack : String(error)}`);
    } finally {
      world.client.close();
      world.other.close();
      await proxy.close();
    }
  }
}

async function withTimeout(work: Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${checkTimeoutMs} ms`)), checkTimeoutMs);
  });
  try {
    await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

if (import.meta.filename === process.argv[1]) {
  const { passed, failed } = await run(process.argv.slice(2));
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}
