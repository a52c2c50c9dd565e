/** Three members on this machine, measured as one server: loads go to the leader, costs are those of all. */

import { Member, type MemberOptions } from "../tests/interop/support/member.js";
import { freePort } from "../tests/interop/support/ports.js";

export type TrioOptions = Omit<MemberOptions, "clientPort">;

const pollMs = 10;
const waitMaxMs = 120_000;

export class Trio {
  readonly members: readonly Member[];
  #leader: Member;

  private constructor(members: readonly Member[], leader: Member) {
    this.members = members;
    this.#leader = leader;
  }

  /** Starts three members and waits until one leads. */
  static async start(options: TrioOptions): Promise<Trio> {
    const places = await Promise.all(
      ["a", "b", "c"].map(async (letter) => ({ name: `${options.name}-${letter}`, port: await freePort() })),
    );
    const cluster = places.map(({ name, port }) => `${name}=http://127.0.0.1:${port}`).join();
    const starting = places.map(({ name, port }) => {
      const url = `http://127.0.0.1:${port}`;
      const urls = ["--listen-peer-urls", url, "--initial-advertise-peer-urls", url, "--initial-cluster", cluster];
      return Member.start({ ...options, name, flags: [...urls, ...(options.flags ?? [])] });
    });
    const started = await Promise.allSettled(starting);
    const members = started.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
    try {
      for (const outcome of started) if (outcome.status === "rejected") throw outcome.reason;
      return new Trio(members, await leaderOf(members));
    } catch (error) {
      await Promise.all(members.map((member) => member.close()));
      throw error;
    }
  }

  get host(): string {
    return this.#leader.host;
  }

  get port(): number {
    return this.#leader.port;
  }

  get followers(): readonly Member[] {
    return this.members.filter((member) => member !== this.#leader);
  }

  cpuSeconds(): number {
    return this.members.reduce((sum, member) => sum + member.cpuSeconds(), 0);
  }

  rssBytes(): number {
    return this.members.reduce((sum, member) => sum + member.rssBytes(), 0);
  }

  get(path: string): ReturnType<Member["get"]> {
    return this.#leader.get(path);
  }

  /** Waits until a member has applied all that the leader has now. */
  async caughtUp(member: Member): Promise<void> {
    const goal = (await metric(this.#leader, appliedName)) ?? 0;
    await until(`${member.name} has applied ${goal}`, async () => {
      return ((await metric(member, appliedName)) ?? 0) >= goal ? true : undefined;
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.members.map((member) => member.close()));
  }
}

const appliedName = "etcd_server_proposals_applied_total";

function leaderOf(members: readonly Member[]): Promise<Member> {
  return until("a leader", async () => {
    for (const member of members) if ((await metric(member, "etcd_server_is_leader")) === 1) return member;
    return undefined;
  });
}

async function metric(member: Member, name: string): Promise<number | undefined> {
  const text = (await member.get("/metrics"))?.body.split("\n").find((line) => line.startsWith(`${name} `));
  return text === undefined ? undefined : Number(text.slice(name.length + 1));
}

async function until<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + waitMaxMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > deadline) throw new Error(`not in ${waitMaxMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}
