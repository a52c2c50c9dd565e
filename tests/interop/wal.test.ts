/**
 * The write-ahead log, both ways: we read what Go etcd wrote, and Go etcd boots from what we wrote and applies it.
 */

import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { messageBytes } from "@etcd-ts/api";
import {
  decodeInternalRaftRequest,
  encodeInternalRaftRequest,
  type InternalRaftRequestInit,
  sizeInternalRaftRequest,
} from "@etcd-ts/api/etcdserverpb";
import type { Entry } from "@etcd-ts/raft";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createNodeEnv } from "../../packages/server/src/platform/env.js";
import { findLatestMark } from "../../packages/server/src/wal/log-reader.js";
import { Wal } from "../../packages/server/src/wal/wal.js";
import { Member } from "./support/member.js";

const bin = join(import.meta.dirname, "bin");
const env = createNodeEnv({ logLevel: "error" });
let member: Member;

beforeEach(async () => {
  member = await Member.start({
    name: "go",
    command: [join(bin, "etcd")],
    flags: ["--snapshot-count", "100"],
  });
});

afterEach(() => member.close());

function etcdctl(...words: string[]): string {
  return execFileSync(join(bin, "etcdctl"), ["--endpoints", member.endpoint, ...words], { encoding: "utf8" });
}

function walDirectory(): string {
  return join(member.dataDirectory, "member", "wal");
}

function putRequest(id: bigint, key: string, value: string): Uint8Array {
  const text = new TextEncoder();
  const request: InternalRaftRequestInit = {
    header: { id },
    put: { key: text.encode(key), value: text.encode(value) },
  };
  return messageBytes({ size: sizeInternalRaftRequest, encode: encodeInternalRaftRequest }, request);
}

function putsAmong(entries: readonly Entry[]): readonly string[] {
  return entries.flatMap(({ data, type }) => {
    const put = data === undefined || type !== 0 ? undefined : decodeInternalRaftRequest(data).put;
    return put === undefined ? [] : [`${Buffer.from(put.key)}=${Buffer.from(put.value)}`];
  });
}

test("we read what Go etcd wrote", async () => {
  for (let i = 0; i < 5; i++) etcdctl("put", `k${i}`, `v${i}`);
  await member.stop();
  const opened = await Wal.open(env, walDirectory(), { index: 0, term: 0 });
  expect(putsAmong(opened.entries)).toEqual(["k0=v0", "k1=v1", "k2=v2", "k3=v3", "k4=v4"]);
  expect(opened.hardState.commit).toBe(opened.entries.at(-1)?.index);
  expect(opened.entries[0]).toMatchObject({ type: 1, term: 1, index: 1 });
  await opened.wal.close();
});

test("Go etcd boots from a log that we continued, over several segments", async () => {
  for (let i = 0; i < 150; i++) etcdctl("put", "warm", `${i}`);
  await member.stop();
  const mark = await findLatestMark(env.disk, env.digest, walDirectory());
  expect(mark.index).toBeGreaterThan(100);
  expect(mark.confState?.voters).toHaveLength(1);
  const { wal, entries, hardState } = await Wal.open(env, walDirectory(), mark, { segmentSizeBytes: 2000 });
  let index = entries.at(-1)?.index ?? mark.index;
  for (let i = 0; i < 100; i++) {
    index++;
    const data = putRequest(BigInt(1000 + i), `ours${i % 10}`, `${i}`);
    await wal.save({ ...hardState, commit: index }, [{ type: 0, term: hardState.term, index, data }]);
  }
  await wal.close();
  expect(readdirSync(walDirectory()).length).toBeGreaterThan(3);

  await member.boot();
  expect(etcdctl("get", "--prefix", "ours", "--print-value-only").trim().split("\n")).toEqual(
    Array.from({ length: 10 }, (_, i) => `${90 + i}`),
  );
  etcdctl("put", "after", "restart");
  await member.stop();

  // And back again: Go's records behind ours, after its own cut of our last segment's zeros.
  const third = await Wal.open(env, walDirectory(), mark);
  expect(putsAmong(third.entries).at(-1)).toBe("after=restart");
  await third.wal.close();
});

test("Go etcd boots from a log that we made from nothing", async () => {
  etcdctl("put", "a", "1");
  etcdctl("put", "b", "2");
  await member.stop();
  const { wal, metadata, entries, hardState } = await Wal.open(env, walDirectory(), { index: 0, term: 0 });
  await wal.close();
  const copies = mkdtempSync(join(tmpdir(), "etcd-ts-wal-"));
  try {
    const made = await Wal.create(env, join(copies, "wal"), metadata, { segmentSizeBytes: 600 });
    for (const entry of entries) await made.save({ ...hardState, commit: entry.index }, [entry]);
    await made.close();
    rmSync(join(member.dataDirectory, "member"), { recursive: true });
    await env.disk.makeDirectory(join(member.dataDirectory, "member"));
    await env.disk.rename(join(copies, "wal"), walDirectory());
  } finally {
    rmSync(copies, { recursive: true, force: true });
  }
  await member.boot();
  expect(etcdctl("get", "--prefix", "", "--print-value-only").trim().split("\n")).toEqual(["1", "2"]);
});
