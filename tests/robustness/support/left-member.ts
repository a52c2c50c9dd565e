/** The member booted over what power cuts left, many times in one process (programs/member-checker.ts). */

import type { MemberOptions } from "../../interop/support/member.js";
import { Checker } from "./checker.js";

/** Both are a part of what a data directory was begun with. */
export type MemberPorts = Required<Pick<MemberOptions, "clientPort" | "peerPort">>;

const program = "build/tests/robustness/programs/member-checker.js";

export class LeftMember {
  readonly #clientPort: number;
  readonly #peerPort: number;
  readonly #flags: Readonly<Record<string, string>>;
  #checker = new Checker(program);

  /** On the ports of its first start; `flags` are added to those a member needs. */
  constructor(ports: MemberPorts, flags: Readonly<Record<string, string>>) {
    this.#clientPort = ports.clientPort;
    this.#peerPort = ports.peerPort;
    this.#flags = flags;
  }

  /** Boots the member over `directory`, which it changes, asks `look` what is wrong with it, and closes it. */
  async check(directory: string, look: () => Promise<readonly string[]>): Promise<readonly string[]> {
    const client = `http://127.0.0.1:${this.#clientPort}`;
    const peer = `http://127.0.0.1:${this.#peerPort}`;
    const refusal = await this.#checker.check({
      ...{ name: "cut", "data-dir": directory },
      ...{ "listen-client-urls": client, "advertise-client-urls": client },
      ...{ "listen-peer-urls": peer, "initial-advertise-peer-urls": peer, "initial-cluster": `cut=${peer}` },
      ...this.#flags,
    });
    const wrong = refusal === "" ? [...(await look().catch((error: unknown) => [String(error)]))] : [said(refusal)];
    const failure = refusal === "" ? await this.#checker.check({}) : "";
    if (failure !== "") wrong.push(said(failure));
    if (wrong.length > 0) {
      // Whatever went wrong may have left something behind in the process.
      this.#checker.end();
      this.#checker = new Checker(program);
    }
    return wrong;
  }

  end(): void {
    this.#checker.end();
  }
}

function said(answer: string | undefined): string {
  return answer ?? "the process died, or did not answer";
}
