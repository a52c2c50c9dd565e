/**
 * What a load knows about the store's revision: it never goes back for anyone who has seen it, and no two writes get
 * the same one.
 */
export class Revisions {
  /** The highest revision any answer has shown. */
  newest = 0;
  writes = 0;
  #taken = new Uint8Array(1 << 20);
  #first = 0;

  /** Notes the revision of an answer to a request sent when `newest` was `floor`. Throws if it went back. */
  observe(revision: number, floor: number): void {
    if (revision < floor || revision === 0) {
      throw new Error(`revision ${revision} was answered after ${floor} had been seen`);
    }
    this.newest = Math.max(this.newest, revision);
  }

  /** Notes the revision of a write. Throws if it is not newer than `floor` or belongs to another write. */
  claim(revision: number, floor: number): void {
    this.observe(revision, floor + 1);
    if (this.#first === 0) {
      // The first answers may come out of order, by as many as there are callers.
      this.#first = Math.max(1, revision - 65_536);
    }
    const slot = revision - this.#first;
    if (slot >= this.#taken.length) {
      const larger = new Uint8Array(2 * slot);
      larger.set(this.#taken);
      this.#taken = larger;
    }
    if (slot < 0 || this.#taken[slot] === 1) {
      throw new Error(`two writes were answered with revision ${revision}`);
    }
    this.#taken[slot] = 1;
    this.writes++;
  }
}
