/** Waits until this member has applied an index, each with its own deadline. Few at a time, so a list is enough. */

interface Wait {
  readonly index: number;
  readonly deadline: number;
  readonly done: (reached: boolean) => void;
}

export class AppliedWaits {
  #waits: Wait[] = [];

  /** `done(true)` at once when `applied` has reached `index`, else when it does; `done(false)` at `deadline`. */
  wait(applied: number, index: number, deadline: number, done: (reached: boolean) => void): void {
    if (applied >= index) done(true);
    else this.#waits.push({ index, deadline, done });
  }

  applied(index: number): void {
    if (this.#waits.length > 0) this.#settle((wait) => wait.index <= index, true);
  }

  tick(now: number): void {
    if (this.#waits.length > 0) this.#settle((wait) => wait.deadline <= now, false);
  }

  stop(): void {
    this.#settle(() => true, false);
  }

  #settle(ends: (wait: Wait) => boolean, reached: boolean): void {
    const ended = this.#waits.filter(ends);
    if (ended.length === 0) return;
    this.#waits = this.#waits.filter((wait) => !ends(wait));
    for (const wait of ended) wait.done(reached);
  }
}
