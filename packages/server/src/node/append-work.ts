/**
 * What raft wants persisted, joined into writes: as many of the waiting appends as fit into one, so that one sync
 * serves all of them, and no more, so that no write keeps the disk, and who waits for the first of them, for long.
 */

import { type Entry, type HardState, type Message, none, type Snapshot } from "@etcd-ts/raft";

/**
 * Encoded bytes of entries that are written and synced at once. It is above a message's limit, so that only appends of
 * one loop turn that are large together are cut; a single entry may be larger.
 */
export const writeBytesMax: number = 4 << 20;

/** Framing adds less than this to an entry's data. */
const framingBytesMax = 64;

export interface AppendWork {
  /** Whose responses are due when all is durable. */
  readonly messages: readonly Message[];
  /** Its commit index never lowers what was written before. */
  readonly hardState: HardState | undefined;
  /** None is outdated by a later one. */
  readonly entries: readonly Entry[];
  readonly snapshot: Snapshot | undefined;
}

/** Bytes that an entry takes in the log, at most. */
export function writtenBytes(entry: Entry): number {
  return (entry.data?.length ?? 0) + framingBytesMax;
}

/**
 * Takes from the front of `waiting` what is to be written next: at least one message, and no more when the entries have
 * reached `writeBytesMax`. A snapshot is written alone, with what came with it.
 */
export function takeAppendWork(waiting: Message[]): AppendWork {
  let count = 0;
  let bytes = 0;
  let hardState: HardState | undefined;
  let entries: readonly Entry[] = [];
  let joined: Entry[] | undefined;
  for (const message of waiting) {
    if (count > 0 && message.snapshot !== undefined) break;
    for (const entry of message.entries) bytes += writtenBytes(entry);
    if (count > 0 && bytes > writeBytesMax) break;
    count++;
    if (message.term !== 0 || message.vote !== none || message.commit !== 0) {
      hardState = { term: message.term, vote: message.vote, commit: message.commit };
    }
    if (entries.length === 0) entries = message.entries;
    else if (message.entries.length > 0) {
      joined ??= [...entries];
      entries = joined;
      replaceFrom(joined, message.entries);
    }
    if (message.snapshot !== undefined) break;
  }
  const messages = waiting.splice(0, count);
  return { messages, hardState, entries, snapshot: messages[0]?.snapshot };
}

/** `later` replaces what `entries` holds at and above the index where `later` begins. */
function replaceFrom(entries: Entry[], later: readonly Entry[]): void {
  const from = later[0]?.index ?? 0;
  let kept = entries.length;
  while (kept > 0 && (entries[kept - 1]?.index ?? 0) >= from) kept--;
  entries.length = kept;
  for (const entry of later) entries.push(entry);
}

/**
 * The writes that make `work` durable, in order: each of at most `writeBytesMax` or of one larger entry. A crash
 * between them must leave what one write that a crash tore may leave: the term is there with the first of its entries,
 * and no commit index before the entries it covers.
 */
export function writesOf({ hardState, entries }: AppendWork): readonly Pick<AppendWork, "hardState" | "entries">[] {
  const cuts: number[] = [];
  let bytes = 0;
  for (let i = 0; i < entries.length; i++) {
    const size = writtenBytes(entries[i] as Entry);
    if (bytes > 0 && bytes + size > writeBytesMax) {
      cuts.push(i);
      bytes = 0;
    }
    bytes += size;
  }
  if (cuts.length === 0) return [{ hardState, entries }];
  const early = hardState === undefined ? undefined : { ...hardState, commit: 0 };
  const writes = cuts.map((cut, i) => ({ hardState: early, entries: entries.slice(cuts[i - 1] ?? 0, cut) }));
  return [...writes, { hardState, entries: entries.slice(cuts.at(-1)) }];
}
