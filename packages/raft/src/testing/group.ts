import type { Config } from "../config.js";
import { MemoryStorage } from "../memory-storage.js";
import type { Raft } from "../raft.js";
import { RawNode, raftOf } from "../raw-node.js";
import {
  type ConfState,
  createMessage,
  type Entry,
  emptyConfState,
  type HardState,
  type Message,
  type MessageType,
  type NodeId,
  noLimit,
  type Snapshot,
} from "../types.js";

/** A node for unit tests: fed by hand, every message it sends collected. */
export class TestNode {
  readonly storage: MemoryStorage;
  readonly node: RawNode;
  readonly id: NodeId;
  readonly committed: Entry[] = [];
  readonly reads: number[] = [];

  constructor(storage: MemoryStorage, config: Partial<Config> = {}) {
    this.storage = storage;
    this.id = config.id ?? 1n;
    this.node = new RawNode({
      id: this.id,
      electionTick: 10,
      heartbeatTick: 1,
      storage,
      random: () => 0,
      maxSizePerMessage: noLimit,
      maxInflightMessages: 256,
      ...config,
    });
  }

  get raft(): Raft {
    return raftOf(this.node);
  }

  /** Persists and applies what is ready, and returns what is to be sent. */
  work(): Message[] {
    const sent: Message[] = [];
    while (this.node.hasReady()) {
      const ready = this.node.ready();
      if (ready.snapshot !== undefined) this.storage.applySnapshot(ready.snapshot);
      if (ready.hardState !== undefined) this.storage.setHardState(ready.hardState);
      this.storage.append(ready.entries);
      sent.push(...ready.messages);
      this.committed.push(...ready.committedEntries);
      this.reads.push(...ready.readStates.map(({ index }) => index));
      this.node.advance();
    }
    return sent;
  }

  /** Gives it a message and returns what it sends. */
  receive(type: MessageType, fields: Partial<Message> = {}): Message[] {
    const term = fields.term ?? this.raft.term;
    this.node.step(createMessage({ from: 2n, to: this.id, ...fields, type, term }));
    return this.work();
  }

  tick(count = 1): Message[] {
    for (let i = 0; i < count; i++) this.node.tick();
    return this.work();
  }

  /** The terms of its log, from the first index on. */
  terms(): number[] {
    const { log } = this.raft;
    return Array.from({ length: log.lastIndex() - log.firstIndex() + 1 }, (_, i) =>
      log.termOrZero(log.firstIndex() + i),
    );
  }
}

/** Bytes of an ASCII text. */
export function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

/** Voters 1 to `count`. */
export function votersTo(count: number): ConfState {
  return { ...emptyConfState, voters: Array.from({ length: count }, (_, i) => BigInt(i + 1)) };
}

/** A storage whose log has entries of the given terms from index 1 on. */
export function storageWith(
  confState: ConfState,
  terms: readonly number[] = [],
  hardState: Partial<HardState> = {},
): MemoryStorage {
  const storage = new FoundedStorage(confState);
  storage.append(terms.map((term, i) => ({ type: 0, term, index: i + 1, data: undefined })));
  storage.setHardState({ term: terms.at(-1) ?? 0, vote: 0n, commit: 0, ...hardState });
  return storage;
}

/** A log that begins at index 1, with a configuration from elsewhere. */
class FoundedStorage extends MemoryStorage {
  readonly #confState: ConfState;

  constructor(confState: ConfState) {
    super();
    this.#confState = confState;
  }

  override initialState(): ReturnType<MemoryStorage["initialState"]> {
    return { ...super.initialState(), confState: this.#confState };
  }
}

/** A snapshot without data. */
export function snapshotAt(index: number, term: number, confState: ConfState): Snapshot {
  return { data: undefined, metadata: { confState, index, term } };
}

/** A node that has won an election of `count` voters, its first entry still uncommitted. */
export function electedLeader(
  count: number,
  config: Partial<Config> = {},
  storage: MemoryStorage = storageWith(votersTo(count)),
): TestNode {
  const leader = new TestNode(storage, config);
  leader.node.campaign();
  leader.work();
  for (let id = 2; id <= Math.floor(count / 2) + 1; id++) leader.receive(6, { from: BigInt(id) });
  return leader;
}
