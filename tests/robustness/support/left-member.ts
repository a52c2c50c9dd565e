/** The member booted over what power cuts left, many times in one process (programs/member-checker.ts). */

import { freePort } from "../../interop/support/member.js";
import { Checker } from "./checker.js";

const program = "build/tests/robustness/programs/member-checker.js";

export class LeftMember {
  readonly #clientPort: number;
  readonly #peerPort: number;
  readonly #flags: Readonly<Record<string, string>>;
  #checker = new Checker(program);

  private constructor(clientPort: number, peerPort: number, flags: Readonly<Record<string, string>>) {
    this.#clientPort = clientPort;
    this.#peerPort = peerPort;
    this.#flags = flags;
  }

  /** `flags` are added to those a member needs. */
  static async of(clientPort: number, flags: Readonly<Record<string, string>>): Promise<LeftMember> {
    return new LeftMember(clientPort, await freePort(), flags);
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
