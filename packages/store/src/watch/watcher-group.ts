/**
 * An index of watchers by what they watch: which of them want to hear of a key. Watchers of one key are found in a map,
 * watchers of ranges in a tree, so that an event costs what it matches and not what is being watched.
 */

import { RangeTree } from "./range-tree.js";
import type { Watcher } from "./watcher.js";

export class WatcherGroup {
  /** Most watched keys have one watcher, which then needs no set. */
  readonly #byKey = new Map<string, Watcher | Set<Watcher>>();
  readonly #ranges = new RangeTree<Watcher>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The watcher must not be in the group. */
  add(watcher: Watcher): void {
    this.#size++;
    if (watcher.isRange) {
      this.#ranges.add(watcher.key, watcher.end, watcher);
      return;
    }
    const present = this.#byKey.get(watcher.key);
    if (present === undefined) this.#byKey.set(watcher.key, watcher);
    else if (present instanceof Set) present.add(watcher);
    else this.#byKey.set(watcher.key, new Set([present, watcher]));
  }

  /** The watcher must be in the group. */
  delete(watcher: Watcher): void {
    this.#size--;
    if (watcher.isRange) {
      this.#ranges.delete(watcher.key, watcher.end, watcher);
      return;
    }
    const present = this.#byKey.get(watcher.key);
    if (present instanceof Set) {
      present.delete(watcher);
      if (present.size === 0) this.#byKey.delete(watcher.key);
    } else if (present === watcher) this.#byKey.delete(watcher.key);
  }

  /** Calls back for each watcher of the key, in no order that matters. The callback must not change the group. */
  visit(key: string, callback: (watcher: Watcher) => void): void {
    const present = this.#byKey.get(key);
    if (present instanceof Set) for (const watcher of present) callback(watcher);
    else if (present !== undefined) callback(present);
    this.#ranges.visit(key, callback);
  }
}
