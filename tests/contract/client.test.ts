/** The client against our member, embedded, and against Go etcd where it has been built: the same answers from both. */

import { compare, Election, EtcdClient, isCompactedError, Mutex, op, Session, stm, toText } from "@etcd-ts/client";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Server, subject } from "./support/client-servers.js";

describe(`the client with ${subject.name}`, () => {
  let server: Server;
  let client: EtcdClient;

  beforeAll(async () => {
    server = await subject.start();
    client = new EtcdClient({ endpoints: [server.endpoint], timeoutMs: 20_000 });
  });
  afterAll(async () => {
    client?.close();
    await server?.close();
  });
  beforeEach(async () => {
    await client.kv.delete("", { prefix: true });
  });

  it("puts, gets and deletes", async () => {
    const first = await client.kv.put("a", "1");
    const { prevKv } = await client.kv.put("a", "2", { prevKv: true });
    expect(toText(prevKv?.value ?? new Uint8Array())).toBe("1");
    expect(await client.kv.getText("a")).toBe("2");
    expect(await client.kv.getText("a", { revision: first.header.revision })).toBe("1");
    expect(await client.kv.getText("missing")).toBeUndefined();
    await client.kv.put("ab", "3");
    const sort = { by: "VALUE", order: "DESCEND" } as const;
    const { kvs, count } = await client.kv.get("a", { prefix: true, sort, limit: 1 });
    expect([kvs.map(({ key }) => toText(key)), count]).toEqual([["ab"], 2]);
    expect((await client.kv.delete("a", { prefix: true, prevKv: true })).prevKvs.length).toBe(2);
    await expect(client.kv.put("", "x")).rejects.toMatchObject({ reason: "emptyKey", code: 3 });
  });

  it("reads a range in pages and as a stream, at one revision", async () => {
    for (let i = 0; i < 25; i++) await client.kv.put(`p/${String(i).padStart(2, "0")}`, String(i));
    const pages: string[][] = [];
    for await (const page of client.kv.pages("p/", { prefix: true, pageLimit: 10 })) {
      pages.push(page.map(({ value }) => toText(value)));
      if (pages.length === 1) await client.kv.delete("p/24");
    }
    expect(pages.map(({ length }) => length)).toEqual([10, 10, 5]);
    expect(pages.flat()).toEqual(Array.from({ length: 25 }, (_, i) => String(i)));
    let count = 0;
    for await (const { kvs } of client.kv.stream("p/", { prefix: true })) count += kvs.length;
    expect(count).toBe(24);
    const some: number[] = [];
    for await (const page of client.kv.pages("p/", { prefix: true, pageLimit: 10, limit: 12 })) some.push(page.length);
    expect(some).toEqual([10, 2]);
  });

  it("compares and swaps", async () => {
    await client.kv.put("k", "v");
    const swap = (from: string, to: string) =>
      client.kv.txn({
        compare: [compare.value("k", "=", from), compare.version("k", ">", 0)],
        success: [op.put("k", to)],
        failure: [op.get("k"), op.txn({ success: [op.delete("other")] })],
      });
    expect((await swap("v", "w")).succeeded).toBe(true);
    const second = await swap("v", "x");
    expect(second.succeeded).toBe(false);
    expect(second.responses.map(({ response }) => response?.kind)).toEqual(["responseRange", "responseTxn"]);
  });

  it("watches from the past and the present, and tells of compaction", async () => {
    const { header } = await client.kv.put("w", "1");
    const past = client.watch("w", { startRevision: header.revision });
    const present = client.watch("w", { prevKv: true, filter: "noDelete" });
    await present.created;
    await client.kv.delete("w");
    await client.kv.put("w", "2");
    const seen: string[] = [];
    for await (const { type, kv } of past.events()) {
      seen.push(`${type} ${toText(kv?.value ?? new Uint8Array())}`);
      if (seen.length === 3) break;
    }
    expect(seen).toEqual(["0 1", "1 ", "0 2"]);
    const next = await present.next();
    expect(next.value.events.map(({ kv }: { kv: { value: Uint8Array } }) => toText(kv.value))).toEqual(["2"]);
    await present.return();
    const { header: now } = await client.kv.put("w", "3");
    await client.kv.compact(now.revision);
    const late = client.watch("w", { startRevision: header.revision });
    const error: unknown = await late.next().catch((thrown: unknown) => thrown);
    expect(isCompactedError(error) && error.compactRevision).toBe(now.revision);
  });

  it("hears how far its watches are", async () => {
    const watcher = client.watch("nothing");
    await watcher.created;
    const { header } = await client.kv.put("other", "x");
    // The server answers once none of the stream's watches is behind.
    let response: Awaited<ReturnType<typeof watcher.next>> | undefined;
    const next = watcher.next().then((result) => {
      response = result;
    });
    while (response === undefined) {
      client.requestProgress();
      await Promise.race([next, client.kv.get("other")]);
    }
    expect(response.value.events).toEqual([]);
    expect(response.value.header.revision).toBe(header.revision);
    await watcher.return();
  });

  it("grants, renews and revokes leases", async () => {
    const { id, ttl } = await client.lease.grant(30);
    expect(ttl).toBe(30);
    await client.kv.put("leased", "x", { lease: id });
    const info = await client.lease.timeToLive(id, { keys: true });
    expect([info.grantedTtl, info.keys.map(toText)]).toEqual([30, ["leased"]]);
    expect((await client.lease.keepAliveOnce(id)).ttl).toBe(30);
    const keepAlive = client.lease.keepAlive(id);
    expect((await keepAlive.next()).value?.ttl).toBe(30);
    expect((await client.lease.list()).leases.map((lease) => lease.id)).toContain(id);
    await client.lease.revoke(id);
    expect(await client.kv.getText("leased")).toBeUndefined();
    keepAlive.stop();
    expect((await client.lease.timeToLive(id)).ttl).toBe(-1);
    await expect(client.lease.keepAliveOnce(id)).rejects.toMatchObject({ reason: "leaseNotFound" });
    await expect(client.kv.put("x", "y", { lease: id })).rejects.toMatchObject({ reason: "leaseNotFound" });
  });

  it("locks in the order of asking, and gives up its place", async () => {
    const sessions = await Promise.all([1, 2, 3].map(() => Session.create(client, { ttl: 30 })));
    const [first, second, third] = sessions.map((session) => new Mutex(session, "lock"));
    await first!.lock();
    await first!.lock();
    await expect(second!.tryLock()).rejects.toMatchObject({ reason: "locked" });
    const controller = new AbortController();
    const given = second!.lock({ signal: controller.signal });
    const queued = client.watch(second!.key, { startRevision: first!.revision ?? 0 });
    for await (const { kv } of queued.events()) if (kv?.version === 1) break;
    const waiting = third!.lock();
    controller.abort();
    await expect(given).rejects.toMatchObject({ code: 1 });
    await first!.unlock();
    await waiting;
    const holds = await client.kv.txn({ compare: [third!.isOwner()], success: [op.put("fenced", "x")] });
    expect(holds.succeeded).toBe(true);
    await expect(first!.unlock()).rejects.toMatchObject({ reason: "lockReleased" });
    await sessions[2]!.close();
    const { kvs } = await client.kv.get("lock/", { prefix: true });
    expect(kvs).toEqual([]);
    await Promise.all([sessions[0]!.close(), sessions[1]!.close()]);
  });

  it("elects one leader after the other, and observes them", async () => {
    const [a, b] = await Promise.all([Session.create(client), Session.create(client)]);
    const [first, second] = [new Election(a, "e"), new Election(b, "e")];
    await expect(first.leader()).rejects.toMatchObject({ reason: "electionNoLeader" });
    const observed = second.observe();
    const values = async (): Promise<string> => {
      const { value } = await observed.next();
      return value === undefined ? "" : toText(value.kv.value);
    };
    const one = values();
    await first.campaign("one");
    expect(await one).toBe("one");
    const won = second.campaign("two");
    await first.proclaim("one again");
    expect(await values()).toBe("one again");
    await first.resign();
    await won;
    expect(await values()).toBe("two");
    await observed.return();
    await expect(first.proclaim("late")).rejects.toMatchObject({ reason: "electionNotLeader" });
    await Promise.all([a.close(), b.close()]);
  });

  it.each(["serializableSnapshot", "serializable", "repeatableReads"] as const)(
    "counts right under %s",
    async (isolation) => {
      const increment = () =>
        stm(
          client,
          async (transaction) => {
            const count = Number((await transaction.getText("count")) ?? "0");
            transaction.put("count", String(count + 1));
            expect(await transaction.getText("count")).toBe(String(count + 1));
          },
          { isolation },
        );
      await Promise.all(Array.from({ length: 12 }, increment));
      expect(await client.kv.getText("count")).toBe("12");
    },
  );

  it("reads one moment in a transaction, whatever is written meanwhile", async () => {
    await client.kv.put("x", "1");
    await client.kv.put("y", "1");
    let runs = 0;
    const { result } = await stm(client, async (transaction) => {
      const x = await transaction.getText("x");
      if (runs++ === 0) await client.kv.txn({ success: [op.put("x", "2"), op.put("y", "2")] });
      const y = await transaction.getText("y");
      expect(y).toBe(x);
      transaction.put("sum", `${x}${y}`);
      return [x, y];
    });
    expect([runs, result, await client.kv.getText("sum")]).toEqual([2, ["2", "2"], "22"]);
  });

  it("asks members about themselves", async () => {
    const { members } = await client.cluster.memberList();
    expect(members.map(({ name }) => name)).toEqual(["default"]);
    const status = await client.maintenance.status({ endpoint: server.endpoint });
    expect(status.leader).toBe(members[0]?.id);
    expect((await client.maintenance.alarmList()).alarms).toEqual([]);
    expect((await client.maintenance.hashKv()).hash).toBeGreaterThan(0);
  });
});
