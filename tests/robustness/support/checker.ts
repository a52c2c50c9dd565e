/** A program of programs/ that answers questions, in a process of its own since what it is asked about may end it. */

import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { repository } from "./shim.js";

/** Milliseconds an answer may take. */
const answerMsMax = 60_000;

export class Checker {
  readonly #child;
  readonly #answers;

  /** `program` is the path of a built file of programs/ in the repository. */
  constructor(program: string) {
    const file = join(repository, program);
    this.#child = spawn(process.execPath, [file], { stdio: ["pipe", "pipe", "inherit"] });
    // A question to a process that has died is answered by the end of its output.
    this.#child.stdin.on("error", () => undefined);
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** What is wrong, or ""; undefined when the process died, or was killed since it did not answer. One at a time. */
  async check(question: object): Promise<string | undefined> {
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), answerMsMax);
    try {
      this.#child.stdin.write(`${JSON.stringify(question)}\n`);
      const answer = await this.#answers.next();
      return answer.done === true ? undefined : answer.value;
    } finally {
      clearTimeout(timer);
    }
  }

  end(): void {
    this.#child.kill("SIGKILL");
  }
}
