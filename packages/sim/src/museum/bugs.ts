/**
 * Past bugs of etcd and of systems like it, brought back one at a time: each is a few characters of the built server
 * replaced. The simulator must find every one of them; a simulator that does not is broken.
 *
 * `find` must occur in the file exactly once, so that a change of the code shows here instead of making a bug vanish.
 */

export interface Bug {
  readonly name: string;
  /** Where it happened, and what goes wrong. */
  readonly history: string;
  /** Below `packages/`. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** A seed that finds it, of runs as the museum makes them. */
  readonly seed: number;
}

/** Virtual seconds of the museum's runs. */
export const museumSeconds = 20;

export const bugs: readonly Bug[] = [
  {
    name: "ack-before-sync",
    history: "etcd 14370: an entry is acknowledged before it is on disk",
    file: "server/dist/wal/segment-writer.js",
    find: "await this.#file.writeAndSync(this.#offset, parts);",
    replace: "await this.#file.write(this.#offset, parts);",
    seed: 8,
  },
  {
    name: "write-finished-early",
    history: "etcd 14370: the answers of a write leave when it begins instead of when it is synced",
    file: "server/dist/node/raft-loop.js",
    find: "const work = this.#takeWork();\n        this.#write(work).then(() => {",
    replace: "const work = this.#takeWork();\n        this.#finishWrite(work);\n        this.#write(work).then(() => {",
    seed: 7,
  },
  {
    name: "index-apart-from-effects",
    history: "etcd 13766: the consistent index is committed without the effects of its entry",
    file: "store/dist/apply/state-machine.js",
    find: "this.#budget.left = budget;\n        const dispatched",
    replace:
      "this.#budget.left = budget;\n        this.#backend.sealEntry(entry.index, entry.term);\n        const dispatched",
    seed: 116,
  },
  {
    name: "index-ahead",
    history: "etcd 13514: a commit carries an index that is ahead of its data",
    file: "server/dist/backend/buffered-backend.js",
    find: "uint64(this.#sealedIndex)];",
    replace: "uint64(this.#sealedIndex + 1)];",
    seed: 1,
  },
  {
    name: "read-index-reused",
    history: "etcd 20418: the answer to an old ReadIndex request confirms readers that came after it",
    file: "server/dist/node/read-index.js",
    find: "if (!round.ids.has(new DataView(context.buffer, context.byteOffset, 8).getBigUint64(0)))\n            return;",
    replace: "",
    seed: 76,
  },
  {
    name: "reads-without-quorum",
    history: "etcd 741: a member that believes to lead answers linearizable reads from its own state",
    file: "server/dist/node/member.js",
    find: "this.#reads.read(done);\n        this.#loop.poke();",
    replace: "if (this.isLeader) return done(undefined);\n        this.#reads.read(done);\n        this.#loop.poke();",
    seed: 2,
  },
  {
    name: "reads-before-own-term",
    history: "etcd PR 14258: a new leader answers ReadIndex before it has committed in its term",
    file: "raft/dist/step-leader.js",
    find: "if (!raft.committedInOwnTerm())\n        raft.readsBeforeFirstCommit.push(message);\n    else\n",
    replace: "",
    seed: 63,
  },
  {
    name: "reads-not-applied",
    history: "a confirmed read does not wait until its index is applied",
    file: "server/dist/node/read-index.js",
    find: "this.applied(this.#ports.appliedIndex());",
    replace: "this.applied(Number.MAX_SAFE_INTEGER);",
    seed: 1,
  },
  {
    name: "votes-not-persisted",
    history: "a member forgets after a restart whom it voted for",
    file: "server/dist/wal/wal.js",
    find: "if (!this.#stateWaits)\n            return;\n        this.#framer.state(this.#hardState);",
    replace:
      "if (!this.#stateWaits)\n            return;\n        this.#framer.state({ ...this.#hardState, vote: 0n });",
    seed: 1,
  },
  {
    name: "term-not-synced",
    history: "a vote is given before the new term and the vote are on disk",
    file: "server/dist/wal/wal.js",
    find: "const needsSync = entries.length > 0 || state.term !== known.term || state.vote !== known.vote || coversReceived;",
    replace: "const needsSync = entries.length > 0 || coversReceived;",
    seed: 1,
  },
  {
    name: "received-state-not-covered",
    history: "our own: a received state is acknowledged before the commit index that makes its mark count is on disk",
    file: "server/dist/wal/wal.js",
    find: "const needsSync = entries.length > 0 || state.term !== known.term || state.vote !== known.vote || coversReceived;",
    replace: "const needsSync = entries.length > 0 || state.term !== known.term || state.vote !== known.vote;",
    seed: 477,
  },
  {
    name: "segment-name-not-synced",
    history: "etcd 6368: a renamed segment whose directory was not synced is gone after a power cut",
    file: "server/dist/wal/wal.js",
    find: "await this.#disk.rename(spare.path, joinPath(this.#directory, name.name));\n        await this.#disk.syncDirectory(this.#directory);",
    replace: "await this.#disk.rename(spare.path, joinPath(this.#directory, name.name));",
    seed: 11,
  },
  {
    name: "sync-error-ignored",
    history: "ATC 2020, fsync failures: a failed sync is taken for a good one",
    file: "server/dist/wal/segment-writer.js",
    find: "await this.#file.writeAndSync(this.#offset, parts);",
    replace: "await this.#file.writeAndSync(this.#offset, parts).catch(() => undefined);",
    seed: 10,
  },
  {
    name: "applied-twice",
    history: "etcd PR 14730: entries that the database holds already are applied again after a restart",
    file: "store/dist/apply/state-machine.js",
    find: "this.#applied = readApplied(backend);",
    replace: "this.#applied = { index: 0, term: 0 };",
    seed: 1,
  },
  {
    name: "stale-candidate-elected",
    history: "Raft §5.4.1 left out: a candidate whose log is behind gets votes",
    file: "raft/dist/raft.js",
    find: "if (canVote && this.log.isUpToDate(message.index, message.logTerm)) {",
    replace: "if (canVote) {",
    seed: 12,
  },
  {
    name: "votes-twice",
    history: "a member votes for two candidates in one term",
    file: "raft/dist/raft.js",
    find: "const canVote = this.vote === from || (this.vote === none && this.lead === none) ||",
    replace: "const canVote = this.vote === from || this.lead === none ||",
    seed: 1,
  },
  {
    name: "commits-old-terms",
    history: "Raft §5.4.2, figure 8 left out: entries of earlier terms are committed by counting",
    file: "raft/dist/raft.js",
    find: "if (index <= this.log.committed || !this.log.matchTerm(index, this.term))",
    replace: "if (index <= this.log.committed)",
    seed: 0,
  },
  {
    name: "heartbeat-commits-all",
    history: "a heartbeat carries a commit index beyond what the follower is known to have",
    file: "raft/dist/raft.js",
    find: "const commit = Math.min(progress.match, this.log.committed);",
    replace: "const commit = this.log.committed;",
    seed: 1,
  },
  {
    name: "stale-append-truncates",
    history: "a delayed append cuts off entries that came after it",
    file: "raft/dist/raft.js",
    find: "this.log.append(conflict === 0 ? entries : entries.slice(conflict));\n        }",
    replace:
      "this.log.append(conflict === 0 ? entries : entries.slice(conflict));\n        } else if (entries.length > 0 && entries[0].index > this.log.committed) this.log.append(entries);",
    seed: 0,
  },
  {
    name: "progress-overtakes",
    history: "etcd 15220: a requested progress notification overtakes events",
    file: "store/dist/watch/watch-hub.js",
    find: "for (const watcher of stream.watchers())\n            if (!isCurrent(watcher, current))\n                return;",
    replace: "",
    seed: 0,
  },
  {
    name: "victim-skipped",
    history: "etcd 17529: a slow watcher that missed events goes on without them",
    file: "store/dist/watch/watch-hub.js",
    find: "if (watcher.minRevision <= current)\n                this.#becomeWaiting(watcher);\n            else\n                this.#becomeSynced(watcher);",
    replace: "this.#becomeSynced(watcher);",
    seed: 0,
  },
  {
    name: "compacted-watcher-silent",
    history: "etcd 17529: a watcher that compaction has passed is not told",
    file: "store/dist/watch/watch-hub.js",
    find: "if (watcher.minRevision < compacted) {",
    replace: "if (watcher.minRevision < compacted && ((watcher.minRevision = compacted), false)) {",
    seed: 0,
  },
  {
    name: "watch-off-by-one",
    history: "etcd PR 15274: events at the start revision come again after catching up",
    file: "store/dist/watch/watch-hub.js",
    find: "watcher.minRevision = next;",
    replace: "watcher.minRevision = next - 1;",
    seed: 9,
  },
  {
    name: "future-watch-early",
    history: "etcd 20221: a watch from a future revision gets events from before it",
    file: "store/dist/watch/watch-hub.js",
    find: "watcher.minRevision = Math.max(current + 1, spec.startRevision);",
    replace: "watcher.minRevision = current + 1;",
    seed: 1,
  },
  {
    name: "tombstone-dropped",
    history: "etcd 18089: the deletion at the compact revision is lost to watchers",
    file: "store/dist/mvcc/key-index.js",
    find: "if (main < atRevision && this.isDeleted(slot))",
    replace: "if (main <= atRevision && this.isDeleted(slot))",
    seed: 19,
  },
  {
    name: "compaction-keeps-too-little",
    history: "compaction drops the version that is current at the compact revision",
    file: "store/dist/mvcc/key-index.js",
    find: "const index = lastAtOrBelow(older, atRevision);\n        if (index > 0)\n            this.#older[slot] = older.slice(index * 2);",
    replace:
      "const index = lastAtOrBelow(older, atRevision);\n        if (index >= 0)\n            this.#older[slot] = older.slice(index * 2 + 2);",
    seed: 1,
  },
  {
    name: "lease-expiry-not-extended",
    history: "etcd op-guide, failures: a new leader counts leases on from their grant",
    file: "store/dist/lease/lessor.js",
    find: "const remainingMs = promotion.extendMs + fullTermMs(lease);",
    replace: "const remainingMs = promotion.extendMs + fullTermMs(lease) / 2;",
    seed: 11,
  },
  {
    name: "stale-leader-revokes",
    history: "etcd 15247: a stalled leader that was replaced revokes leases that the new one has renewed",
    file: "server/dist/node/member.js",
    find: "confirmLeadership: (done) => this.#confirmLeadershipByQuorum(done),",
    replace: "confirmLeadership: (done) => done(this.isLeader),",
    seed: 0,
  },
  {
    name: "lease-revoke-keeps-keys",
    history: "a revoked lease leaves one of its keys behind",
    file: "store/dist/apply/state-machine.js",
    find: "return this.#revokeTask(id, [...keys]);",
    replace: "return this.#revokeTask(id, [...keys].slice(1));",
    seed: 4,
  },
  {
    name: "lease-not-restored",
    history: "keys are not attached to their leases again after a restart",
    file: "store/dist/mvcc/restore.js",
    find: "leases.set(key, record.lease);",
    replace: "leases.delete(key);",
    seed: 11,
  },
  {
    name: "commit-without-quorum",
    history: "a leader commits what only it has",
    file: "raft/dist/tracker.js",
    find: "return this.#quorumValue((progress) => progress.match);",
    replace: "return Math.max(...this.progress.map((progress) => progress.match));",
    seed: 1,
  },
];
