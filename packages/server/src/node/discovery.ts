/**
 * The first members of a cluster through another etcd cluster: each writes its URLs under the token they share, and
 * waits until as many have come as the token is for.
 *
 * Source: etcd server/etcdserver/api/v3discovery/discovery.go.
 */

import { parseInitialCluster } from "@etcd-ts/store";
import { BootstrapError } from "../config/bootstrap-error.js";
import type { Env } from "../env.js";
import { hexId } from "../peers/identity.js";

/** A key as the discovery service has it. */
export interface DiscoveryRow {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
}

/** The other cluster. Reads and writes reject when they fail or take too long. */
export interface DiscoveryService {
  read(
    key: string,
    options: { readonly isPrefix: boolean },
  ): Promise<{ readonly revision: number; readonly rows: readonly DiscoveryRow[] }>;
  write(key: string, value: string): Promise<void>;
  /** Rows under a prefix that are written from a revision on. */
  follow(prefix: string, fromRevision: number): AsyncIterable<readonly DiscoveryRow[]>;
  close(): void;
}

export interface DiscoveryOptions {
  readonly token: string;
  readonly memberId: bigint;
  /** `name=url,…` of this member. */
  readonly own: string;
}

/** Retries are 2, 4, … and at last always 256 seconds apart; there is no end to them. */
const backoffDoublingsMax = 8;

/** `name=url,…` of all members, in the order in which they came. Rejects with `BootstrapError`. */
export async function discoverMembers(
  env: Pick<Env, "clock" | "logger">,
  service: DiscoveryService,
  options: DiscoveryOptions,
): Promise<string> {
  try {
    const text = await new Discovery(env, service, options).join();
    env.logger.log("info", "discovery joined cluster successfully", { cluster: text });
    return text;
  } catch (error) {
    if (!(error instanceof DiscoveryFault)) throw error;
    env.logger.log("error", "discovery failed to join cluster", { cluster: "", error: error.message });
    throw new BootstrapError(`failed to join discovery cluster (${error.message})`);
  } finally {
    service.close();
  }
}

/** What no retry mends. */
class DiscoveryFault extends Error {}

class Discovery {
  readonly #env: Pick<Env, "clock" | "logger">;
  readonly #service: DiscoveryService;
  readonly #own: string;
  readonly #sizeKey: string;
  readonly #membersPrefix: string;
  readonly #ownKey: string;
  #retries = 0;

  constructor(env: Pick<Env, "clock" | "logger">, service: DiscoveryService, options: DiscoveryOptions) {
    const prefix = `/_etcd/registry/${options.token}`;
    this.#env = env;
    this.#service = service;
    this.#own = options.own;
    this.#sizeKey = `${prefix}/_config/size`;
    this.#membersPrefix = `${prefix}/members`;
    this.#ownKey = `${prefix}/members/${hexId(options.memberId)}`;
  }

  async join(): Promise<string> {
    await this.#look();
    await this.#retried("register member itself", () => this.#service.write(this.#ownKey, this.#own));
    this.#env.logger.log("info", "register member itself successfully", {
      memberKey: this.#ownKey,
      memberInfo: this.#own,
    });
    const { members, size, revision } = await this.#look();
    await this.#waitFor(members, size, revision);
    const text = inOrder(members)
      .slice(0, size)
      .map(({ value }) => value)
      .join(",");
    if (parseInitialCluster(text).kind === "invalid") throw new DiscoveryFault("discovery: invalid peer URL");
    return text;
  }

  /** Who has come. Refuses when the cluster is full without this member. */
  async #look(): Promise<{ members: Map<string, DiscoveryRow>; size: number; revision: number }> {
    const { size, found } = await this.#retried("cluster status check", async () => ({
      size: await this.#service.read(this.#sizeKey, { isPrefix: false }),
      found: await this.#service.read(this.#membersPrefix, { isPrefix: true }),
    }));
    const [row] = size.rows;
    if (row === undefined) throw new DiscoveryFault("discovery: size key not found");
    const count = /^[+-]?\d{1,15}$/.test(row.value) ? Number(row.value) : 0;
    if (count <= 0) throw new DiscoveryFault("discovery: size key is bad");
    const members = new Map<string, DiscoveryRow>();
    for (const member of found.rows) this.#add(members, member);
    const others = inOrder(members).findIndex(({ key }) => key === this.#ownKey);
    if ((others < 0 ? members.size : others) >= count) throw new DiscoveryFault("discovery: cluster is full");
    return { members, size: count, revision: found.revision };
  }

  #add(members: Map<string, DiscoveryRow>, row: DiscoveryRow): void {
    const key = row.key.trim();
    const value = row.value.trim();
    const fields = { memberKey: key, memberInfo: value };
    const { logger } = this.#env;
    if (!value.includes("=")) logger.log("warn", "invalid peer info returned from discovery service", fields);
    else if (members.has(key)) logger.log("warn", "found duplicate peer from discovery service", fields);
    else {
      members.set(key, { key, value, createRevision: row.createRevision });
      logger.log("info", "found peer from discovery service", fields);
    }
  }

  async #waitFor(members: Map<string, DiscoveryRow>, size: number, revision: number): Promise<void> {
    const log = (message: string): void =>
      this.#env.logger.log("info", message, { clusterSize: size, "found-peers": members.size });
    if (members.size >= size) return;
    log("waiting for peers from discovery service");
    for await (const rows of this.#service.follow(this.#membersPrefix, revision + 1)) {
      for (const row of rows) this.#add(members, row);
      if (members.size >= size) break;
    }
    log("found all needed peers from discovery service");
  }

  async #retried<Result>(step: string, attempt: () => Promise<Result>): Promise<Result> {
    for (;;) {
      try {
        const result = await attempt();
        this.#retries = 0;
        return result;
      } catch (error) {
        this.#retries = Math.min(this.#retries + 1, backoffDoublingsMax);
        const backoffMs = 2 ** this.#retries * 1000;
        const fields = { reason: step, backoff: `${backoffMs / 1000}s`, error: String(error) };
        this.#env.logger.log("warn", "retry connecting to discovery service", fields);
        await new Promise<void>((resolve) => this.#env.clock.setTimer(backoffMs, resolve));
      }
    }
  }
}

function inOrder(members: ReadonlyMap<string, DiscoveryRow>): readonly DiscoveryRow[] {
  return [...members.values()].sort((a, b) => a.createRevision - b.createRevision);
}
