/**
 * Puts of keys that are each written once, on several members, and what must hold of them afterwards: every
 * acknowledged one is there at its revision, none twice, and a watch saw exactly what is stored.
 */

import type { EtcdClient, Watcher } from "@etcd-ts/client";

export interface Acknowledged {
  readonly value: string;
  readonly revision: number;
  /** Monotonic milliseconds when the answer came. */
  readonly at: number;
}

export interface LoadOptions {
  /** Clients of one member each; every one gets `writers` loops. */
  readonly clients: () => readonly EtcdClient[];
  readonly writers: number;
  readonly prefix: string;
  /** A put that is not answered by then is given up: it may be stored or not. */
  readonly timeoutMs?: number | ((writer: number) => number);
  /** Between two puts of one writer. */
  readonly pauseMs?: number;
}

export class Load {
  readonly acknowledged = new Map<string, Acknowledged>();
  readonly #options: LoadOptions;
  readonly #sent = new Set<string>();
  #stopping = false;
  #running: Promise<unknown> = Promise.resolve();
  failures = 0;

  constructor(options: LoadOptions) {
    this.#options = options;
  }

  start(): void {
    this.#stopping = false;
    this.#running = Promise.all(Array.from({ length: this.#options.writers }, (_, i) => this.#write(i)));
  }

  /** Ends after the puts under way. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
  }

  /** Resolves when `count` more puts were acknowledged; rejects when that takes longer than `timeoutMs`. */
  async more(count: number, timeoutMs = 30_000): Promise<void> {
    const goal = this.acknowledged.size + count;
    const deadline = performance.now() + timeoutMs;
    while (this.acknowledged.size < goal) {
      if (performance.now() > deadline) throw new Error(`${goal - this.acknowledged.size} of ${count} puts not done`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** The longest time without an acknowledged put that ends after `from`. */
  gapAfter(from: number): number {
    const times = [...this.acknowledged.values()].map(({ at }) => at).sort((a, b) => a - b);
    let gap = 0;
    for (const [i, at] of times.entries()) {
      if (at > from) gap = Math.max(gap, at - (times[i - 1] ?? from));
    }
    return gap;
  }

  /** Compares what `client` reads with what was acknowledged; what is wrong. */
  async check(client: EtcdClient): Promise<string[]> {
    const wrong: string[] = [];
    const { kvs } = await client.kv.get(this.#options.prefix, { prefix: true, timeoutMs: 20_000 });
    const stored = new Map(kvs.map((kv) => [text(kv.key), kv]));
    for (const [key, { value, revision }] of this.acknowledged) {
      const kv = stored.get(key);
      if (kv === undefined) wrong.push(`${key} was acknowledged at revision ${revision} and is lost`);
      else if (text(kv.value) !== value) wrong.push(`${key} holds ${text(kv.value)}, written was ${value}`);
      else if (kv.modRevision !== revision) {
        wrong.push(`${key} has revision ${kv.modRevision}, acknowledged was ${revision}`);
      }
    }
    for (const [key, kv] of stored) {
      if (!this.#sent.has(key)) wrong.push(`${key} was never written`);
      if (kv.version !== 1) wrong.push(`${key} was written ${kv.version} times`);
    }
    return wrong;
  }

  async #write(writer: number): Promise<void> {
    const { prefix, timeoutMs: chosen = 5000, pauseMs = 0 } = this.#options;
    const timeoutMs = typeof chosen === "number" ? chosen : chosen(writer);
    for (let i = 0; !this.#stopping; i++) {
      const clients = this.#options.clients();
      const client = clients[(writer + i) % clients.length];
      if (client === undefined) return;
      const key = `${prefix}${writer}-${i}-${this.#sent.size}`;
      const value = `value of ${key}`;
      this.#sent.add(key);
      try {
        const { header } = await client.kv.put(key, value, { timeoutMs });
        this.acknowledged.set(key, { value, revision: header.revision, at: performance.now() });
      } catch {
        this.failures++;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
}

/** That a watch may need, milliseconds. */
const catchUpMs = 20_000;

/** Keeps the events of a watch, and compares them with what is stored. */
export class WatchRecord {
  readonly #watcher: Watcher;
  readonly #prefix: string;
  readonly #events: { readonly key: string; readonly revision: number }[] = [];
  readonly #done: Promise<void>;
  #failure: unknown;

  constructor(client: EtcdClient, prefix: string) {
    this.#prefix = prefix;
    this.#watcher = client.watch(prefix, { prefix: true });
    this.#done = this.#collect();
  }

  get created(): Promise<unknown> {
    return this.#watcher.created;
  }

  /** What is wrong with the events so far, once the watch has reached what is stored now. */
  async check(client: EtcdClient): Promise<string[]> {
    const { kvs, header } = await client.kv.get(this.#prefix, { prefix: true, timeoutMs: 20_000 });
    const stored = kvs.map((kv) => `${kv.modRevision} ${text(kv.key)}`);
    stored.sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10));
    const deadline = performance.now() + catchUpMs;
    while (this.#events.length < stored.length && this.#failure === undefined && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const seen = this.#events.map(({ key, revision }) => `${revision} ${key}`);
    const wrong: string[] = [];
    if (this.#failure !== undefined) wrong.push(`the watch ended: ${String(this.#failure)}`);
    if (new Set(seen).size !== seen.length) wrong.push("the watch delivered an event twice");
    const at = stored.findIndex((event, i) => seen[i] !== event);
    if (at >= 0) wrong.push(`event ${at} of ${stored.length} is ${seen[at]}, stored is ${stored[at]}`);
    // What a put that was given up has stored meanwhile is newer than what was read.
    const invented = this.#events.slice(stored.length).find(({ revision }) => revision <= header.revision);
    if (invented !== undefined) wrong.push(`event ${invented.revision} ${invented.key} is not stored`);
    return wrong;
  }

  async close(): Promise<void> {
    await this.#watcher.return();
    await this.#done;
  }

  async #collect(): Promise<void> {
    try {
      for await (const { events } of this.#watcher) {
        for (const { kv } of events) {
          if (kv !== undefined) this.#events.push({ key: text(kv.key), revision: kv.modRevision });
        }
      }
    } catch (error) {
      this.#failure = error;
    }
  }
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
