/**
 * Puts on a member through its JSON gateway, and the check that none that was acknowledged is lost.
 *
 * Each writer owns a key and puts 1, 2, 3, … into it, one at a time, until the member stops answering. So what is
 * stored must be the last acknowledged number or the one that was under way.
 */

import { Agent, request } from "node:http";

/** An acknowledged put. */
export interface Acknowledged {
  readonly value: number;
  readonly revision: number;
  /** When the answer arrived: CLOCK_MONOTONIC, nanoseconds. */
  readonly timeNs: bigint;
}

export interface KvLoadOptions {
  readonly port: number;
  readonly writers: number;
  /** Bytes of padding in each value, at most. */
  readonly paddingMax: number;
}

/** What one writer has seen. */
interface Writer {
  readonly key: string;
  /** Puts sent so far, this and earlier lives. */
  sent: number;
  readonly acknowledged: Acknowledged[];
}

export class KvLoad {
  readonly #options: KvLoadOptions;
  readonly #writers: readonly Writer[];
  #agent = new Agent({ keepAlive: true });
  #stopping = false;
  #running: Promise<unknown> = Promise.resolve();
  /** Defragmentations that ended well. */
  defragmentations = 0;

  constructor(options: KvLoadOptions) {
    this.#options = options;
    this.#writers = Array.from({ length: options.writers }, (_, i) => ({
      key: `writer-${i}`,
      sent: 0,
      acknowledged: [],
    }));
  }

  /** Puts acknowledged so far. */
  get acknowledged(): number {
    return this.#writers.reduce((sum, writer) => sum + writer.acknowledged.length, 0);
  }

  /** Begins to put, and to defragment again and again; each ends with its first failure. */
  start(): void {
    this.#stopping = false;
    this.#agent = new Agent({ keepAlive: true });
    this.#running = Promise.all([...this.#writers.map((writer) => this.#write(writer)), this.#defragment()]);
  }

  /** Ends after the puts under way. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
    this.#agent.destroy();
  }

  /**
   * Reads all keys from a member and checks them against what was acknowledged until `timeNs`; what is wrong. Puts sent
   * later, or not answered, may be there or not.
   */
  async check(timeNs: bigint): Promise<readonly string[]> {
    const wrong: string[] = [];
    const agent = new Agent();
    const answer = await post(agent, this.#options.port, "/v3/kv/range", {
      key: encode("writer-"),
      range_end: encode("writer."),
    });
    agent.destroy();
    const stored = new Map((answer.kvs ?? []).map((kv) => [decode(kv.key), kv]));
    for (const { key, acknowledged, sent } of this.#writers) {
      const last = acknowledged.findLast((ack) => ack.timeNs <= timeNs);
      const kv = stored.get(key);
      const value = kv === undefined ? 0 : Number.parseInt(decode(kv.value), 10);
      if (value < (last?.value ?? 0)) wrong.push(`${key} holds ${value}, acknowledged ${last?.value}`);
      if (value > sent) wrong.push(`${key} holds ${value}, but only ${sent} were sent`);
      if (kv !== undefined && Number(kv.version) > value)
        wrong.push(`${key} was written ${kv.version} times up to ${value}`);
      const same = acknowledged.find((ack) => ack.value === value);
      if (kv !== undefined && same !== undefined && Number(kv.mod_revision) !== same.revision) {
        wrong.push(`${key} = ${value} has revision ${kv.mod_revision}, acknowledged ${same.revision}`);
      }
      if (last !== undefined && Number(answer.header.revision) < last.revision) {
        wrong.push(`the store is at revision ${answer.header.revision}, acknowledged ${last.revision}`);
      }
    }
    return wrong;
  }

  async #defragment(): Promise<void> {
    while (!this.#stopping) {
      try {
        await post(this.#agent, this.#options.port, "/v3/maintenance/defragment", {});
        this.defragmentations++;
      } catch {
        return;
      }
    }
  }

  async #write(writer: Writer): Promise<void> {
    while (!this.#stopping) {
      const value = ++writer.sent;
      const padding = " ".repeat(Math.floor((value * 7919) % (this.#options.paddingMax + 1)));
      try {
        const body = { key: encode(writer.key), value: encode(`${value}${padding}`) };
        const answer = await post(this.#agent, this.#options.port, "/v3/kv/put", body);
        const timeNs = process.hrtime.bigint();
        writer.acknowledged.push({ value, revision: Number(answer.header.revision), timeNs });
      } catch {
        return;
      }
    }
  }
}

interface Answer {
  readonly header: { readonly revision: string };
  readonly kvs?: readonly {
    readonly key: string;
    readonly value: string;
    readonly mod_revision: string;
    readonly version: string;
  }[];
}

/** Rejects unless the answer is 200. */
function post(agent: Agent, port: number, path: string, body: object): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request({ host: "127.0.0.1", port, path, method: "POST", agent, timeout: 10_000 }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => {
        text += part;
      });
      response.on("error", reject);
      response.on("end", () => {
        if (response.statusCode === 200) resolve(JSON.parse(text) as Answer);
        else reject(new Error(`${path}: ${response.statusCode} ${text}`));
      });
    });
    call.on("timeout", () => call.destroy(new Error("no answer")));
    call.on("error", reject);
    call.end(JSON.stringify(body));
  });
}

function encode(text: string): string {
  return Buffer.from(text).toString("base64");
}

function decode(text: string): string {
  return Buffer.from(text, "base64").toString();
}
