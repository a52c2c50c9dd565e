/**
 * Who may read the whole database, to make an image of it or a hash, and when: one at a time for clients and one for
 * other members, so that a slow client does not keep a follower from being caught up. The others wait, as many as
 * `waitingMax`.
 */

import type { BufferedBackend } from "../backend/buffered-backend.js";
import type { Clock, Digest } from "../env.js";
import { hashDatabase } from "./database-hash.js";
import { DatabaseImage } from "./database-image.js";
import { ImageAbortedError } from "./pin.js";

export interface ImageMakerOptions {
  readonly clock: Clock;
  readonly digest: Digest;
  /** The live database. */
  backend(): BufferedBackend;
  /** Index of the last entry whose effects are in it. */
  appliedIndex(): number;
}

/** Waiting for an image at most. Source: etcd server.go maxInFlightMsgSnap. */
const waitingMax = 16;

export type ImageConsumer = "client" | "member";

export class ImageMaker {
  readonly #options: ImageMakerOptions;
  readonly #lanes: Readonly<Record<ImageConsumer, Lane>> = { client: new Lane(), member: new Lane() };
  #aborted = new AbortController();

  constructor(options: ImageMakerOptions) {
    this.#options = options;
  }

  /**
   * Calls `use` with an image that holds at least what is applied now, once it is its turn, and closes the image when
   * the promise of `use` settles. Rejects as `use` does, and with `ImageAbortedError` when too many wait or the
   * database goes.
   */
  async withImage<Result>(consumer: ImageConsumer, use: (image: DatabaseImage) => Promise<Result>): Promise<Result> {
    const release = await this.#lanes[consumer].enter();
    try {
      const { clock, backend, appliedIndex } = this.#options;
      const aborted = this.#aborted.signal;
      const pinned = await backend().pinDurable(appliedIndex());
      const image = await DatabaseImage.open(clock, pinned, aborted);
      try {
        const givenUp = new Promise<never>((_resolve, reject) => {
          image.onGivenUp(reject);
        });
        return await Promise.race([use(image), givenUp]);
      } finally {
        image.close();
      }
    } finally {
      release();
    }
  }

  /** The hash of `Maintenance.Hash` of what is applied now or a little later. Rejects with `ImageAbortedError`. */
  async hash(): Promise<number> {
    const release = await this.#lanes.client.enter();
    try {
      const { backend, appliedIndex } = this.#options;
      const aborted = this.#aborted.signal;
      const pinned = await backend().pinDurable(appliedIndex());
      return await hashDatabase(this.#options, pinned, aborted);
    } finally {
      release();
    }
  }

  /** The database is going to be closed: nobody may read it any more. */
  abort(): void {
    this.#aborted.abort();
    this.#aborted = new AbortController();
  }
}

class Lane {
  readonly #waiting: (() => void)[] = [];
  #busy = false;

  /** Resolves with what ends the turn. */
  async enter(): Promise<() => void> {
    if (this.#busy) {
      if (this.#waiting.length >= waitingMax) throw new ImageAbortedError("too many wait for an image of the database");
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#busy = true;
    return () => {
      const next = this.#waiting.shift();
      if (next === undefined) this.#busy = false;
      else next();
    };
  }
}
