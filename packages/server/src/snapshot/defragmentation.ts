/**
 * Gives the database's free pages back to the disk: builds a copy beside the live database while that serves, and moves
 * to it. A crash at any moment leaves one of two databases that CURRENT names, both whole; boot removes the other.
 *
 * Source: etcd server/storage/backend/backend.go defrag (which stops the world instead).
 */

import { currentDatabase, nextDatabase, switchDatabase } from "../backend/directory.js";
import type { FormerDatabase, LiveDatabase } from "../backend/live-database.js";
import type { Env } from "../env.js";
import { Slices } from "../slices.js";

export class DefragmentationAbortedError extends Error {
  override readonly name = "DefragmentationAbortedError";
}

export class Defragmentation {
  readonly #env: Env;
  readonly #member: string;
  #running: Promise<void> | undefined;
  #abortReason: string | undefined;
  /** Settles when the last database moved away from is gone. */
  #cleaning: Promise<void> = Promise.resolve();

  /** `member`: the directory that holds the databases. */
  constructor(env: Env, member: string) {
    this.#env = env;
    this.#member = member;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /**
   * Resolves when the live database has moved to a copy without free pages; who asks while one is under way waits for
   * that one. Rejects with `DiskError` or `DefragmentationAbortedError`; the live database then serves on as it was.
   */
  run(live: LiveDatabase): Promise<void> {
    this.#running ??= this.#run(live).finally(() => {
      this.#running = undefined;
      this.#abortReason = undefined;
    });
    return this.#running;
  }

  /** Ends what is under way; resolves when nothing is. */
  async abort(reason: string): Promise<void> {
    if (this.#running === undefined) return;
    this.#abortReason = reason;
    await this.#running.catch(() => undefined);
  }

  /** Resolves when nothing is under way and only the live database is left. No read of another may be pinned. */
  async stop(): Promise<void> {
    await this.abort("the member is stopped");
    await this.#cleaning;
  }

  async #run(live: LiveDatabase): Promise<void> {
    await this.#cleaning;
    const { clock, disk, openDatabase } = this.#env;
    const previous = await currentDatabase(disk, this.#member);
    const directory = await nextDatabase(disk, this.#member);
    await disk.makeDirectory(directory);
    const copy = await openDatabase(directory);
    let isSwitching = false;
    let former: FormerDatabase;
    try {
      former = await live.moveTo(copy, {
        pace: new Slices(clock),
        checkpoint: () => this.#checkRunning(),
        switchOver: () => {
          isSwitching = true;
          return switchDatabase(disk, this.#member, directory);
        },
      });
    } catch (error) {
      await copy.close();
      // Once CURRENT may name the copy, boot has to find it.
      if (!isSwitching) await disk.remove(directory);
      throw error;
    }
    this.#cleaning = this.#clean(former, previous);
  }

  async #clean({ database, unpinned }: FormerDatabase, directory: string | undefined): Promise<void> {
    const { disk, logger } = this.#env;
    await unpinned;
    try {
      await database.close();
      if (directory !== undefined) await disk.remove(directory);
    } catch (error) {
      logger.log("warn", "a database that was moved away from is left until the next start", { error: String(error) });
    }
  }

  #checkRunning(): void {
    if (this.#abortReason !== undefined) throw new DefragmentationAbortedError(this.#abortReason);
  }
}
