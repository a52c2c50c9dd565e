import { type Entry, EntryType, MemoryStorage } from "@etcd-ts/raft";
import { describe, expect, test } from "vitest";
import type { Node, Running } from "./cluster.js";
import { RaftAuditor } from "./raft-auditor.js";

interface Seen {
  violations: string[];
  committed: number[];
}

/** A member as far as the auditor looks at it. */
class FakeMember {
  readonly node: Node;
  log = new MemoryStorage();
  isLeader = false;
  committedIndex = 0;
  appliedIndex = 0;
  revision = 1;
  hardState = { term: 1, vote: 0n, commit: 0 };
  readonly #auditor: RaftAuditor;
  readonly #id: bigint;
  #running: Running;

  constructor(auditor: RaftAuditor, id: bigint) {
    this.#auditor = auditor;
    this.#id = id;
    this.node = { name: `m${id}` } as unknown as Node;
    this.#running = this.#run();
  }

  /** Another process with the same log, or with another. */
  restart(log = this.log): void {
    this.log = log;
    this.#running = this.#run();
  }

  turn(): void {
    this.log.setHardState(this.hardState);
    this.#auditor.turned(this.node, this.#running);
  }

  #run(): Running {
    const self = this;
    const member = {
      memberId: this.#id,
      backend: { durableIndex: 0 },
      mvcc: { currentRevision: () => self.revision },
      get isLeader() {
        return self.isLeader;
      },
      get committedIndex() {
        return self.committedIndex;
      },
      get appliedIndex() {
        return self.appliedIndex;
      },
      raftStatus: () => ({ hardState: self.hardState, confState: { voters: [1n, 2n, 3n] } }),
    };
    return { member, log: this.log } as unknown as Running;
  }
}

function entry(index: number, term: number, text = `${index}.${term}`): Entry {
  return { index, term, type: EntryType.normal, data: new TextEncoder().encode(text) };
}

function cluster(revisionAt: (index: number) => number | undefined = () => undefined) {
  const seen: Seen = { violations: [], committed: [] };
  const auditor = new RaftAuditor(0, {
    committed: ({ index }) => seen.committed.push(index),
    revisionAt,
    violation: (reason) => seen.violations.push(reason),
  });
  const members = [1n, 2n, 3n].map((id) => new FakeMember(auditor, id)) as [FakeMember, FakeMember, FakeMember];
  return { seen, members };
}

/** Entries 1 and 2 of term 1 are everywhere and committed on the first member. */
function settled(revisionAt?: (index: number) => number | undefined) {
  const made = cluster(revisionAt);
  for (const member of made.members) {
    member.log.append([entry(1, 1), entry(2, 1)]);
    member.turn();
  }
  made.members[0].committedIndex = 2;
  made.members[0].turn();
  return made;
}

describe("the auditor of members", () => {
  test("is content with entries that a quorum has, and hands them on once, in order", () => {
    const { seen, members } = settled();
    for (const member of members) {
      member.committedIndex = 2;
      member.turn();
    }
    expect(seen).toEqual({ violations: [], committed: [1, 2] });
  });

  test("lets a log be cut off where it conflicts", () => {
    const { seen, members } = settled();
    members[2].log.append([entry(3, 1), entry(4, 1)]);
    members[2].turn();
    members[2].log.append([entry(3, 2)]);
    members[2].turn();
    expect(seen.violations).toEqual([]);
  });

  const faults: Record<string, { act(members: [FakeMember, FakeMember, FakeMember]): void; says: string }> = {
    "two leaders of one term": {
      act: ([a, b]) => {
        for (const member of [a, b]) {
          member.isLeader = true;
          member.turn();
        }
      },
      says: "both lead term 1",
    },
    "a leader that commits up to an entry of another term": {
      act: ([a, b]) => {
        b.log.append([entry(3, 2), entry(4, 3)]);
        a.log.append([entry(3, 2), entry(4, 3)]);
        a.hardState = { term: 3, vote: 1n, commit: 2 };
        a.isLeader = true;
        b.turn();
        a.turn();
        a.hardState = { term: 3, vote: 1n, commit: 3 };
        a.committedIndex = 3;
        a.turn();
      },
      says: "leads term 3 and commits up to 3 of term 2",
    },
    "another entry at the same index and term": {
      act: ([a, b]) => {
        a.log.append([entry(3, 1)]);
        a.turn();
        b.log.append([entry(3, 1, "other")]);
        b.turn();
      },
      says: "another entry 3 of term 1",
    },
    "another committed entry": {
      act: ([, b]) => {
        b.log.append([entry(2, 2)]);
        b.turn();
        b.committedIndex = 2;
        b.turn();
      },
      says: "commits another entry",
    },
    "a commit that only one member has": {
      act: ([a]) => {
        a.log.append([entry(3, 1)]);
        a.committedIndex = 3;
        a.turn();
      },
      says: "1 of 3 voters have on disk",
    },
    "entries that are cut off without a conflict": {
      act: ([, , c]) => {
        c.log.append([entry(3, 1), entry(4, 1)]);
        c.turn();
        c.log.append([entry(3, 1)]);
        c.turn();
      },
      says: "cut off entries 4 to 4",
    },
    "a log that is shorter after a restart": {
      act: ([, , c]) => {
        const log = new MemoryStorage();
        log.append([entry(1, 1)]);
        c.restart(log);
        c.turn();
      },
      says: "lost entry 2",
    },
    "a term that goes back": {
      act: ([a]) => {
        a.hardState = { term: 3, vote: 1n, commit: 0 };
        a.turn();
        const log = new MemoryStorage();
        log.append([entry(1, 1), entry(2, 1)]);
        a.restart(log);
        a.hardState = { term: 2, vote: 0n, commit: 0 };
        a.turn();
      },
      says: "went back from term 3 to 2",
    },
    "a vote that is forgotten": {
      act: ([a]) => {
        a.hardState = { term: 3, vote: 1n, commit: 0 };
        a.turn();
        const log = new MemoryStorage();
        log.append([entry(1, 1), entry(2, 1)]);
        a.restart(log);
        a.hardState = { term: 3, vote: 2n, commit: 0 };
        a.turn();
      },
      says: "forgot its vote of term 3",
    },
    "a committed entry that another one has replaced after a restart": {
      act: ([a]) => {
        const log = new MemoryStorage();
        log.append([entry(1, 1), entry(2, 4)]);
        a.hardState = { term: 4, vote: 0n, commit: 2 };
        a.restart(log);
        a.turn();
      },
      says: "lost entry 2 of term 1: it has term 4",
    },
    "a revision that is not the one of its index": {
      act: ([a]) => {
        a.appliedIndex = 2;
        a.revision = 8;
        a.turn();
      },
      says: "has revision 8 at applied index 2 instead of 7",
    },
    "a revision that goes on without its index": {
      act: ([a]) => {
        a.appliedIndex = 2;
        a.revision = 7;
        a.turn();
        a.revision = 9;
        a.turn();
      },
      says: "has revision 9 at applied index 2 instead of 7",
    },
  };
  for (const [name, { act, says }] of Object.entries(faults)) {
    test(`rejects ${name}`, () => {
      const { seen, members } = settled((index) => (index === 2 ? 7 : undefined));
      expect(seen.violations).toEqual([]);
      act(members);
      expect(seen.violations.join("\n")).toContain(says);
    });
  }

  test("takes it that a write which was never acknowledged has replaced an entry that was not committed", () => {
    const { seen, members } = settled();
    const [, , c] = members;
    c.log.append([entry(3, 1)]);
    c.turn();
    const log = new MemoryStorage();
    log.append([entry(1, 1), entry(2, 1), entry(3, 4)]);
    c.hardState = { term: 4, vote: 0n, commit: 2 };
    c.restart(log);
    c.turn();
    expect(seen.violations).toEqual([]);
  });
});
