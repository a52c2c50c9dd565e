/**
 * Judges one watcher by the committed log. etcd's nine properties, as one rule each time a response comes: the events
 * are exactly those that the model has in the watched range from where the last response ended to where this one does.
 *
 * Filter, Ordered, Unique, Reliable and Resumable are the equality of the two lists; Atomic is that a response ends
 * between revisions; Bookmarkable is that the header's revision says how far a response goes, and that progress counts
 * as a response without events; IsCreate and PrevKV are compared in each event.
 */

import type { SeenEvent, SeenKey, WatchFact, WatchSpec } from "./history.js";
import type { StateModel, Version } from "./model.js";

export class WatchAuditor {
  readonly #model: StateModel;
  readonly #spec: WatchSpec;
  readonly #fail: (reason: string) => void;
  /** All events below are accounted for; 0 before the watcher was created. */
  #next = 0;
  #ended = false;
  #created = false;

  constructor(model: StateModel, spec: WatchSpec, fail: (reason: string) => void) {
    this.#model = model;
    this.#spec = spec;
    this.#fail = fail;
    this.#next = spec.startRevision;
  }

  /** Where a watcher that takes over must begin. 0 when this one never began. */
  get next(): number {
    return this.#next;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Whether there are matching events that were not delivered. */
  get isBehind(): boolean {
    if (!this.#created || this.#ended) return false;
    return this.#expected(this.#model.revision).length > 0;
  }

  observe(fact: WatchFact): void {
    if (this.#ended) return this.#fail(`a response after the end: ${fact.kind}`);
    if (fact.revision > this.#model.revision)
      this.#fail(`header of revision ${fact.revision}, before it was committed`);
    switch (fact.kind) {
      case "created":
        if (this.#created) this.#fail("created twice");
        this.#created = true;
        if (this.#next === 0) this.#next = fact.revision + 1;
        return;
      case "events":
        return this.#events(fact);
      case "progress":
        return this.#advance(fact.revision, []);
      case "canceled":
        this.#ended = true;
        if (fact.compactRevision === 0) return;
        if (fact.compactRevision > this.#model.compactRevision) {
          this.#fail(`canceled for compact revision ${fact.compactRevision}, which is ${this.#model.compactRevision}`);
        }
        if (this.#next >= fact.compactRevision) {
          this.#fail(
            `canceled for compact revision ${fact.compactRevision} though only revisions from ${this.#next} are due`,
          );
        }
    }
  }

  /** The header's revision says how far the response goes, beyond its last event too. */
  #events({ revision, events }: Extract<WatchFact, { kind: "events" }>): void {
    const last = events.at(-1)?.kv.modRevision;
    if (last === undefined) return this.#fail("a response without events");
    if (revision < last) return this.#fail(`an event of revision ${last} under a header of revision ${revision}`);
    this.#advance(revision, events);
  }

  #advance(to: number, events: readonly SeenEvent[]): void {
    const expected = this.#expected(to);
    for (let i = 0; i < Math.max(expected.length, events.length); i++) {
      const event = events[i];
      const change = expected[i];
      if (event === undefined || change === undefined || !this.#isSame(event, change)) {
        const seen = event === undefined ? "nothing" : `${event.isDelete ? "delete" : "put"} ${text(event.kv)}`;
        const due = change === undefined ? "nothing" : text(change);
        return this.#fail(`from revision ${this.#next} to ${to}: ${seen} instead of ${due}`);
      }
    }
    this.#next = Math.max(this.#next, to + 1);
  }

  #expected(to: number): readonly Version[] {
    const expected: Version[] = [];
    for (let revision = Math.max(this.#next, 2); revision <= to; revision++) {
      expected.push(...this.#model.changesIn(revision, this.#spec.range));
    }
    return expected;
  }

  #isSame(event: SeenEvent, change: Version): boolean {
    const { kv, isDelete, previous } = event;
    if (kv.key !== change.key || kv.modRevision !== change.modRevision || isDelete !== (change.version === 0))
      return false;
    const isWhole =
      isDelete ||
      (kv.value === change.value &&
        kv.createRevision === change.createRevision &&
        kv.version === change.version &&
        kv.lease === change.lease);
    if (!isWhole) return false;
    if (!this.#spec.prevKv || previous === undefined) return true;
    const before = this.#model.get(change.key, change.modRevision - 1);
    return before !== undefined && before.modRevision === previous.modRevision && before.value === previous.value;
  }
}

function text(key: SeenKey): string {
  return `${key.key}=${key.value}@${key.modRevision}v${key.version}`;
}
