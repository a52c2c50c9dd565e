import { expect, test } from "vitest";
import type { Clock, Logger } from "../env.js";
import { type DiscoveryRow, type DiscoveryService, discoverMembers } from "./discovery.js";

const logger: Logger = { log: () => {} };

/** Timers fire at once; `delays` are those that were asked for. */
function immediateClock(delays: number[]): Pick<Clock, "setTimer"> {
  return {
    setTimer(delayMs, callback) {
      delays.push(delayMs);
      queueMicrotask(callback);
      return { cancel: () => {} };
    },
  };
}

class Service implements DiscoveryService {
  readonly rows: DiscoveryRow[];
  readonly #later: readonly DiscoveryRow[];
  failures = 0;
  closed = false;
  followed: number | undefined;

  constructor(
    size: string | undefined,
    rows: readonly (readonly [string, string])[],
    later: readonly (readonly [string, string])[] = [],
  ) {
    const row = ([key, value]: readonly [string, string], i: number): DiscoveryRow => ({
      key: `/_etcd/registry/t/members/${key}`,
      value,
      createRevision: i + 2,
    });
    this.rows = rows.map(row);
    if (size !== undefined) this.rows.push({ key: "/_etcd/registry/t/_config/size", value: size, createRevision: 1 });
    this.#later = later.map((one, i) => row(one, i + 50));
  }

  async read(key: string, { isPrefix }: { readonly isPrefix: boolean }) {
    if (this.failures-- > 0) throw new Error("no answer");
    return { revision: 40, rows: this.rows.filter((row) => (isPrefix ? row.key.startsWith(key) : row.key === key)) };
  }

  async write(key: string, value: string): Promise<void> {
    this.rows.push({ key, value, createRevision: 40 });
  }

  async *follow(_prefix: string, fromRevision: number) {
    this.followed = fromRevision;
    for (const row of this.#later) yield [row];
  }

  close(): void {
    this.closed = true;
  }
}

async function join(service: Service, delays: number[] = []): Promise<string> {
  const clock = immediateClock(delays) as Clock;
  const options = { token: "t", memberId: 0xabn, own: "self=http://self:1" };
  try {
    return await discoverMembers({ clock, logger }, service, options);
  } catch (error) {
    return String(error);
  } finally {
    expect(service.closed).toBe(true);
  }
}

test("members are those that came first, in their order, and what is none is passed over", async () => {
  const service = new Service(
    "4",
    [
      ["1", "a=http://a:1"],
      ["2", " b=http://b:1 "],
      ["3", "nonsense"],
    ],
    [
      ["1", "a=http://other:1"],
      ["4", "c=http://c:1"],
      ["5", "d=http://d:1"],
    ],
  );
  expect(await join(service)).toBe("a=http://a:1,b=http://b:1,self=http://self:1,c=http://c:1");
  expect(service.followed).toBe(41);
});

test("a cluster that is full takes no more, except who is in it already", async () => {
  const full = [
    ["1", "a=http://a:1"],
    ["2", "b=http://b:1"],
  ] as const;
  expect(await join(new Service("2", full))).toContain("failed to join discovery cluster (discovery: cluster is full)");
  expect(await join(new Service("1", full))).toContain("cluster is full");
  expect(
    await join(
      new Service("2", [
        ["ab", "self=http://self:1"],
        ["1", "a=http://a:1"],
      ]),
    ),
  ).toBe("self=http://self:1,a=http://a:1");
});

test.each(["0", "-1", "x", "1.5", ""])("%j is no size", async (size) => {
  expect(await join(new Service(size, []))).toContain("(discovery: size key is bad)");
});

test("a token that nobody made, and URLs that are none, are refused", async () => {
  expect(await join(new Service(undefined, []))).toContain("(discovery: size key not found)");
  expect(await join(new Service("2", [["1", "a=nonsense"]]))).toContain("(discovery: invalid peer URL)");
});

test("failures are tried again, ever more slowly up to a limit", async () => {
  const service = new Service("1", []);
  service.failures = 10;
  const delays: number[] = [];
  expect(await join(service, delays)).toBe("self=http://self:1");
  expect(delays).toEqual([2, 4, 8, 16, 32, 64, 128, 256, 256, 256].map((seconds) => seconds * 1000));
});
