/**
 * Past bugs of etcd and of systems like it, brought back one at a time: each is a few characters of the built server
 * replaced. The simulator must find every one of them; a simulator that does not is broken.
 *
 * `find` must occur in the file exactly once, so that a change of the code shows here instead of making a bug vanish.
 */

import type { Overrides } from "../options.js";

export interface Bug {
  readonly name: string;
  /** Where it happened, and what goes wrong. */
  readonly history: string;
  /** Below `packages/`. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** What finds it at little cost; undefined while no such run is known. */
  readonly replay: Replay | undefined;
}

/** A recorded run; draws change, so that seeds behind it may be needed once the code has moved on. */
export interface Replay {
  readonly seed: number;
  readonly overrides: Overrides;
}

/** The museum's runs are short and not too busy; all else is drawn from the seed. */
export const museumOverrides: Overrides = { seconds: 12, requestsPerSecond: 5 };

/** Parts of the space in which the recorded runs lie, chosen to be cheap and sure. */
const quiet: Overrides = {
  ...{ faults: [], operations: [], clients: 6, valueBytes: 0, faultIntervalMs: 1000 },
  ...{ applyUnitsPerTurn: 3000, txnReads: 0, renewsRevoked: false },
};
const alone: Overrides = { ...quiet, members: 1 };
const small: Overrides = { ...quiet, members: 3 };
/** Followers that fall behind get snapshots. */
const lagging: Overrides = {
  ...small,
  ...{ clients: 16, requestsPerSecond: 20, snapshotCount: 10, snapshotCatchupEntries: 50, leaderChance: 0 },
};
const slowWatchers: Overrides = {
  ...alone,
  ...{ operations: ["compact"], operationIntervalMs: 200, clients: 8, requestsPerSecond: 10, keys: 3 },
  ...{ watchEventsMax: 1, clientBufferBytes: 200 },
};

export const bugs: readonly Bug[] = [
  {
    name: "ack-before-sync",
    history: "etcd 14370: an entry is acknowledged before it is on disk",
    file: "server/dist/wal/segment-writer.js",
    find: "await this.#file.writeAndSync(this.#offset, parts);",
    replace: "await this.#file.write(this.#offset, parts);",
    replay: { seed: 2, overrides: { ...small, faults: ["power-loss"] } },
  },
  {
    name: "write-finished-early",
    history: "etcd 14370: the answers of a write leave when it begins instead of when it is synced",
    file: "server/dist/node/raft-loop.js",
    find: "const work = takeAppendWork(this.#appendWork);\n        this.#write(work).then(() => {",
    replace:
      "const work = takeAppendWork(this.#appendWork);\n        this.#finishWrite(work);\n        this.#write(work).then(() => {",
    replay: {
      seed: 2,
      overrides: { ...small, faults: ["power-loss", "disk-slow"], leaderChance: 0.3, faultIntervalMs: 300 },
    },
  },
  {
    name: "index-apart-from-effects",
    history: "etcd 13766: the consistent index is committed without the effects of its entry",
    file: "store/dist/apply/state-machine.js",
    find: "this.#budget.left = budget;\n        const dispatched",
    replace:
      "this.#budget.left = budget;\n        this.#backend.sealEntry(entry.index, entry.term);\n        const dispatched",
    replay: {
      seed: 3,
      overrides: {
        ...alone,
        faults: ["kill"],
        faultIntervalMs: 300,
        clients: 12,
        requestsPerSecond: 20,
        keys: 10,
        leases: false,
        txnReads: 100,
        applyUnitsPerTurn: 1,
        backendBatchIntervalMs: 5,
        backendBatchLimit: 1,
        snapshotCount: 10_000,
      },
    },
  },
  {
    name: "index-ahead",
    history: "etcd 13514: a commit carries an index that is ahead of its data",
    file: "server/dist/backend/buffered-backend.js",
    find: "uint64(this.#sealedIndex)];",
    replace: "uint64(this.#sealedIndex + 1)];",
    replay: { seed: 1, overrides: { ...alone, faults: ["kill"] } },
  },
  {
    name: "read-index-reused",
    history: "etcd 20418: the answer to an old ReadIndex request confirms readers that came after it",
    file: "server/dist/node/read-index.js",
    find: "if (!round.ids.has(new DataView(context.buffer, context.byteOffset, 8).getBigUint64(0))) {",
    replace: "if (false) {",
    replay: {
      seed: 9,
      overrides: {
        ...small,
        faults: ["one-way"],
        faultIntervalMs: 700,
        leaderChance: 0,
        heartbeatMs: 200,
        electionMs: 4000,
        clients: 16,
        requestsPerSecond: 20,
        keys: 3,
        leases: false,
      },
    },
  },
  {
    name: "reads-without-quorum",
    history: "etcd 741: a member that believes to lead answers linearizable reads from its own state",
    file: "server/dist/node/member.js",
    find: "this.#reads.read(done);\n        this.#loop.poke();",
    replace: "if (this.isLeader) return done(undefined);\n        this.#reads.read(done);\n        this.#loop.poke();",
    replay: { seed: 10, overrides: { ...small, faults: ["isolate"], leaderChance: 0.8 } },
  },
  {
    name: "reads-before-own-term",
    history: "etcd PR 14258: a new leader answers ReadIndex before it has committed in its term",
    file: "raft/dist/step-leader.js",
    find: "if (!raft.committedInOwnTerm())\n        raft.readsBeforeFirstCommit.push(message);\n    else\n",
    replace: "",
    replay: {
      seed: 26,
      overrides: {
        ...small,
        faults: ["kill", "disk-slow"],
        faultIntervalMs: 300,
        leaderChance: 0.8,
        heartbeatMs: 20,
        electionMs: 100,
        clients: 16,
        requestsPerSecond: 20,
        keys: 3,
        leases: false,
      },
    },
  },
  {
    name: "reads-not-applied",
    history: "a confirmed read does not wait until its index is applied",
    file: "server/dist/node/read-index.js",
    find: "this.applied(this.#ports.appliedIndex());",
    replace: "this.applied(Number.MAX_SAFE_INTEGER);",
    replay: { seed: 5, overrides: { ...small, clients: 12, requestsPerSecond: 20, keys: 3 } },
  },
  {
    name: "votes-not-persisted",
    history: "a member forgets after a restart whom it voted for",
    file: "server/dist/wal/wal.js",
    find: "if (!this.#stateWaits)\n            return;\n        this.#framer.state(this.#hardState);",
    replace:
      "if (!this.#stateWaits)\n            return;\n        this.#framer.state({ ...this.#hardState, vote: 0n });",
    replay: { seed: 2, overrides: { ...small, faults: ["kill"] } },
  },
  {
    name: "term-not-synced",
    history: "a vote is given before the new term and the vote are on disk",
    file: "server/dist/wal/wal.js",
    find: "const needsSync = entries.length > 0 || state.term !== known.term || state.vote !== known.vote || coversReceived;",
    replace: "const needsSync = entries.length > 0 || coversReceived;",
    replay: {
      seed: 8,
      overrides: { ...small, faults: ["power-loss-all", "isolate"], heartbeatMs: 20, electionMs: 100 },
    },
  },
  {
    name: "received-state-not-covered",
    history: "our own: a received state is acknowledged before the commit index that makes its mark count is on disk",
    file: "server/dist/wal/wal.js",
    find: "const needsSync = entries.length > 0 || state.term !== known.term || state.vote !== known.vote || coversReceived;",
    replace: "const needsSync = entries.length > 0 || state.term !== known.term || state.vote !== known.vote;",
    replay: { seed: 14, overrides: { ...lagging, faults: ["power-loss", "isolate"], faultIntervalMs: 300 } },
  },
  {
    name: "segment-name-not-synced",
    history: "etcd 6368: a renamed segment whose directory was not synced is gone after a power cut",
    file: "server/dist/wal/wal.js",
    find: "await this.#disk.rename(spare.path, joinPath(this.#directory, name.name));\n        await this.#disk.syncDirectory(this.#directory);",
    replace: "await this.#disk.rename(spare.path, joinPath(this.#directory, name.name));",
    replay: {
      seed: 1,
      overrides: { ...alone, faults: ["power-loss"], segmentSizeBytes: 4096, clients: 8, requestsPerSecond: 20 },
    },
  },
  {
    name: "sync-error-ignored",
    history: "ATC 2020, fsync failures: a failed sync is taken for a good one",
    file: "server/dist/wal/segment-writer.js",
    find: "await this.#file.writeAndSync(this.#offset, parts);",
    replace: "await this.#file.writeAndSync(this.#offset, parts).catch(() => undefined);",
    replay: {
      seed: 5,
      overrides: { ...small, faults: ["sync-error", "power-loss"], faultIntervalMs: 300, clients: 10 },
    },
  },
  {
    name: "rewritten-batch-marked",
    history:
      "our own: a start marks the batch that it writes anew as synced before it is; the next start takes it for durable",
    file: "server/dist/wal/wal.js",
    find: "await file.writeAndSync(end.batchOffset, [lastBatch]);",
    replace: "await file.write(end.batchOffset, [lastBatch]);",
    replay: {
      seed: 16,
      overrides: { ...small, faults: ["sync-error", "power-loss"], faultIntervalMs: 300, clients: 10 },
    },
  },
  {
    name: "applied-twice",
    history: "etcd PR 14730: entries that the database holds already are applied again after a restart",
    file: "store/dist/apply/state-machine.js",
    find: "this.#applied = readApplied(backend);",
    replace: "this.#applied = { index: 0, term: 0 };",
    replay: { seed: 1, overrides: { ...alone, faults: ["kill"] } },
  },
  {
    name: "stale-candidate-elected",
    history: "Raft §5.4.1 left out: a candidate whose log is behind gets votes",
    file: "raft/dist/raft.js",
    find: "if (canVote && this.log.isUpToDate(message.index, message.logTerm)) {",
    replace: "if (canVote) {",
    replay: {
      seed: 3,
      overrides: { ...small, faults: ["isolate", "delay"], heartbeatMs: 20, electionMs: 100, preVote: false },
    },
  },
  {
    name: "votes-twice",
    history: "a member votes for two candidates in one term",
    file: "raft/dist/raft.js",
    find: "const canVote = this.vote === from || (this.vote === none && this.lead === none) ||",
    replace: "const canVote = this.vote === from || this.lead === none ||",
    replay: {
      seed: 1,
      overrides: {
        ...small,
        members: 5,
        faults: ["mute", "isolate"],
        heartbeatMs: 20,
        electionMs: 100,
        preVote: false,
      },
    },
  },
  {
    name: "commits-old-terms",
    history: "Raft §5.4.2, figure 8 left out: entries of earlier terms are committed by counting",
    file: "raft/dist/raft.js",
    find: "if (index <= this.log.committed || !this.log.matchTerm(index, this.term))",
    replace: "if (index <= this.log.committed)",
    replay: {
      seed: 63,
      overrides: {
        ...small,
        seconds: 20,
        members: 5,
        faults: ["mute"],
        faultIntervalMs: 500,
        heartbeatMs: 20,
        electionMs: 100,
        messageBytesMax: 0,
        clients: 8,
        requestsPerSecond: 20,
        leases: true,
      },
    },
  },
  {
    name: "heartbeat-commits-all",
    history: "a heartbeat carries a commit index beyond what the follower is known to have",
    file: "raft/dist/raft.js",
    find: "const commit = Math.min(progress.match, this.log.committed);",
    replace: "const commit = this.log.committed;",
    replay: { seed: 2, overrides: { ...small, faults: ["isolate", "delay"] } },
  },
  {
    name: "stale-append-truncates",
    history: "a delayed append cuts off entries that came after it",
    file: "raft/dist/raft.js",
    find: "this.log.append(conflict === 0 ? entries : entries.slice(conflict));\n        }",
    replace:
      "this.log.append(conflict === 0 ? entries : entries.slice(conflict));\n        } else if (entries.length > 0 && entries[0].index > this.log.committed) this.log.append(entries);",
    replay: {
      seed: 26,
      overrides: {
        ...small,
        faults: ["kill", "delay"],
        messageBytesMax: 0,
        leaderChance: 0,
        faultIntervalMs: 300,
        clients: 8,
        requestsPerSecond: 10,
      },
    },
  },
  {
    name: "progress-overtakes",
    history: "etcd 15220: a requested progress notification overtakes events",
    file: "store/dist/watch/watch-hub.js",
    find: "for (const watcher of stream.watchers())\n            if (!isCurrent(watcher, current))\n                return;",
    replace: "",
    replay: { seed: 5, overrides: { ...alone, watchSyncRevisions: 1 } },
  },
  {
    name: "victim-skipped",
    history: "etcd 17529: a slow watcher that missed events goes on without them",
    file: "store/dist/watch/watch-hub.js",
    find: "if (watcher.minRevision <= current)\n                this.#becomeWaiting(watcher);\n            else\n                this.#becomeSynced(watcher);",
    replace: "this.#becomeSynced(watcher);",
    replay: { seed: 1, overrides: { ...slowWatchers } },
  },
  {
    name: "compacted-watcher-silent",
    history: "etcd 17529: a watcher that compaction has passed is not told",
    file: "store/dist/watch/watch-hub.js",
    find: "if (watcher.minRevision < compacted) {",
    replace: "if (watcher.minRevision < compacted && ((watcher.minRevision = compacted), false)) {",
    replay: { seed: 1, overrides: { ...slowWatchers } },
  },
  {
    name: "watch-off-by-one",
    history: "etcd PR 15274: events at the start revision come again after catching up",
    file: "store/dist/watch/watch-hub.js",
    find: "watcher.minRevision = next;",
    replace: "watcher.minRevision = next - 1;",
    replay: { seed: 1, overrides: { ...slowWatchers } },
  },
  {
    name: "future-watch-early",
    history: "etcd 20221: a watch from a future revision gets events from before it",
    file: "store/dist/watch/watch-hub.js",
    find: "watcher.minRevision = Math.max(current + 1, spec.startRevision);",
    replace: "watcher.minRevision = current + 1;",
    replay: { seed: 1, overrides: { ...alone } },
  },
  {
    name: "tombstone-dropped",
    history: "etcd 18089: the deletion at the compact revision is lost to watchers",
    file: "store/dist/mvcc/key-index.js",
    find: "if (main < atRevision && this.isDeleted(slot))",
    replace: "if (main <= atRevision && this.isDeleted(slot))",
    replay: {
      seed: 1,
      overrides: { ...alone, operations: ["compact"], operationIntervalMs: 200, keys: 3, clients: 8 },
    },
  },
  {
    name: "compaction-keeps-too-little",
    history: "compaction drops the version that is current at the compact revision",
    file: "store/dist/mvcc/key-index.js",
    find: "const index = lastAtOrBelow(older, atRevision);\n        if (index > 0)\n            this.#older.set(slot, older.slice(index * 2));",
    replace:
      "const index = lastAtOrBelow(older, atRevision);\n        if (index >= 0)\n            this.#older.set(slot, older.slice(index * 2 + 2));",
    replay: {
      seed: 1,
      overrides: { ...alone, operations: ["compact"], operationIntervalMs: 200, keys: 3, clients: 8 },
    },
  },
  {
    name: "lease-expiry-not-extended",
    history: "etcd op-guide, failures: a new leader counts leases on from their grant",
    file: "store/dist/lease/lessor.js",
    find: "const remainingMs = promotion.extendMs + fullTermMs(lease);",
    replace: "const remainingMs = promotion.extendMs + fullTermMs(lease) / 2;",
    replay: {
      seed: 1,
      overrides: {
        ...small,
        faults: ["kill"],
        leaderChance: 0.8,
        leases: true,
        clients: 16,
        heartbeatMs: 20,
        electionMs: 100,
      },
    },
  },
  {
    name: "stale-leader-revokes",
    history: "etcd 15247: a stalled leader that was replaced revokes leases that the new one has renewed",
    file: "server/dist/node/member.js",
    find: "confirmLeadership: (done) => this.#leadership.confirmByQuorum(done),",
    replace: "confirmLeadership: (done) => done(this.isLeader),",
    replay: {
      seed: 17,
      overrides: {
        ...small,
        faults: ["pause"],
        leaderChance: 0.8,
        heartbeatMs: 20,
        electionMs: 100,
        clients: 10,
        leases: true,
      },
    },
  },
  {
    name: "revokes-of-earlier-term",
    history:
      "our own: what had expired in an earlier term of a leader is revoked when it leads again, though then renewed",
    file: "server/dist/node/lease-loop.js",
    find: "if (!lessor.isExpired(id, clock.now()))\n                continue;",
    replace: "",
    replay: {
      seed: 38,
      overrides: {
        ...small,
        seconds: 60,
        faults: ["hold"],
        leaderChance: 0.8,
        heartbeatMs: 20,
        electionMs: 400,
        clients: 16,
        requestsPerSecond: 10,
        leases: true,
      },
    },
  },
  {
    name: "lease-revoke-keeps-keys",
    history: "a revoked lease leaves one of its keys behind",
    file: "store/dist/apply/state-machine.js",
    find: "yield* sortTask(keys, compareKeys, this.#budget);",
    replace: "(yield* sortTask(keys, compareKeys, this.#budget)).slice(1);",
    replay: { seed: 1, overrides: { ...alone, leases: true, clients: 12 } },
  },
  {
    name: "lease-not-restored",
    history: "keys are not attached to their leases again after a restart",
    file: "store/dist/mvcc/restore.js",
    find: "leases.set(key, record.lease);",
    replace: "leases.delete(key);",
    replay: { seed: 3, overrides: { ...alone, faults: ["kill"], leases: true, clients: 12 } },
  },
  {
    name: "commit-without-quorum",
    history: "a leader commits what only it has",
    file: "raft/dist/tracker.js",
    find: "return this.#quorumValue((progress) => progress.match);",
    replace: "return Math.max(...this.progress.map((progress) => progress.match));",
    replay: { seed: 1, overrides: { ...small, faults: ["isolate"] } },
  },
  {
    name: "removed-leader-stops-at-once",
    history: "our own: a leader that removed itself stops before the other voter knows that this is committed",
    file: "server/dist/peers/peer-network.js",
    find: "this.#options.env.clock.setTimer(removedDelayMs, () => this.#options.removed());",
    replace: "this.#options.removed();",
    replay: { seed: 116, overrides: { ...small, members: 1, operations: ["member-change"], operationIntervalMs: 700 } },
  },
  {
    name: "torn-length-refused",
    history: "our own: a length field that filled its sector and was lost with it is taken for damage",
    file: "server/dist/wal/tail.js",
    find: "(sectorEnd(offset, 0) === frameAlignment || !isOneFlipFromZero)",
    replace: "!isOneFlipFromZero",
    replay: { seed: 348, overrides: {} },
  },
  {
    name: "leader-counts-itself",
    history: "etcd 14370: a leader counts an entry as its own before it is on its disk",
    file: "raft/dist/raft.js",
    find: "this.post(appRespMessage({ from: this.id, term: this.term }, this.id, index));",
    replace: "this.tracker.get(this.id)?.acknowledge(index); this.maybeCommit();",
    replay: { seed: 1, overrides: { ...small, faults: ["disk-slow"], leaderChance: 0.8 } },
  },
  {
    name: "snapshot-index-kept",
    history: "etcd 13922: the consistent index from before a received snapshot stays",
    file: "server/dist/node/snapshot-installer.js",
    find: "applier.jumpTo(index, term, confState);",
    replace: "applier.jumpTo(applier.index, term, confState);",
    replay: { seed: 9, overrides: { ...lagging, faults: ["isolate"] } },
  },
  {
    name: "log-released-early",
    history: "etcd 10219: the log is released to an index that the database does not hold durably",
    file: "server/dist/node/log-keeper.js",
    find: "await commitBackend();",
    replace: "",
    replay: {
      seed: 1,
      overrides: {
        ...alone,
        faults: ["kill"],
        snapshotCount: 10,
        backendBatchIntervalMs: 1000,
        backendBatchLimit: 10_000,
      },
    },
  },
  {
    name: "database-switch-not-synced",
    history: "etcd 6368: a received database is switched to, and the switch is gone after a power cut",
    file: "server/dist/backend/directory.js",
    find: "`);\n    await disk.syncDirectory(directory);\n}",
    replace: "`);\n}",
    replay: {
      seed: 22,
      overrides: { ...lagging, faults: ["isolate", "power-loss", "disk-slow"], faultIntervalMs: 300 },
    },
  },
  {
    name: "compaction-not-resumed",
    history: "etcd 17780: a crash during a compaction leaves the store between two states",
    file: "store/dist/mvcc/restore.js",
    find: "const unfinishedCompactRevision = scheduledRevision > Math.max(compactRevision, 0) ? scheduledRevision : undefined;",
    replace: "const unfinishedCompactRevision = undefined;",
    replay: {
      seed: 25,
      overrides: {
        ...alone,
        members: 3,
        faults: ["kill"],
        operations: ["compact"],
        operationIntervalMs: 200,
        compactionBatchLimit: 1,
        clients: 8,
      },
    },
  },
  {
    name: "proposal-sent-twice",
    history: "etcd PR 8335: a forwarded proposal is sent again and done twice",
    file: "server/dist/peers/peer.js",
    find: "if (this.#channelFor(message).send(message))",
    replace:
      "if (message.type === MessageType.prop) this.#channelFor(message).send(message);\n        if (this.#channelFor(message).send(message))",
    replay: { seed: 1, overrides: { ...small, faults: [] } },
  },
  {
    name: "old-term-append",
    history: "Raft §5.1 left out: appends of a deposed leader are taken",
    file: "raft/dist/raft.js",
    find: "else if (message.term < this.term && message.term !== 0) {",
    replace: "else if (message.term < this.term && message.term !== 0 && message.type !== MessageType.app) {",
    replay: {
      seed: 1,
      overrides: { ...small, faults: ["isolate", "mute"], leaderChance: 0.8, heartbeatMs: 20, electionMs: 100 },
    },
  },
  {
    name: "promotion-not-stored",
    history: "etcd 19557: a learner is promoted in raft and not in the member table",
    file: "store/dist/membership/membership.js",
    find: 'return { kind: "learnerPromoted", member: this.#store({ ...current, isLearner: false }) };',
    replace: 'return { kind: "learnerPromoted", member: { ...current, isLearner: false } };',
    replay: { seed: 5, overrides: { ...small, members: 1, operations: ["member-change"], operationIntervalMs: 700 } },
  },
  {
    name: "removal-not-stored",
    history: "etcd PR 20995, zombie members: a removed member is there again after a restart",
    file: "store/dist/membership/membership.js",
    find: 'this.#backend.delete("members", memberKey(id));',
    replace: "",
    replay: {
      seed: 19,
      overrides: {
        ...small,
        seconds: 20,
        members: 5,
        faults: ["kill"],
        operations: ["member-change"],
        operationIntervalMs: 200,
        heartbeatMs: 20,
        electionMs: 100,
        clients: 4,
        requestsPerSecond: 2,
        leases: false,
      },
    },
  },
  {
    name: "joins-by-first-answer",
    history:
      "our own, etcd's as well: a joining member goes by the first member table it gets, of a learner that is behind",
    file: "server/dist/node/join.js",
    find: "reason ??= error;",
    replace: "throw error;",
    replay: {
      seed: 9015,
      overrides: { seconds: 20, requestsPerSecond: 20, faults: ["disk-stall", "kill", "break"], txnReads: 0 },
    },
  },
  {
    name: "watchers-not-restored",
    history: "etcd PR 9281: watchers miss what a received snapshot brought",
    file: "store/dist/watch/watch-hub.js",
    find: "if (watcher.minRevision > current)\n                    continue;",
    replace: "continue;",
    replay: {
      seed: 10,
      overrides: { ...lagging, faults: ["isolate"] },
    },
  },
  {
    name: "restored-watchers-replay",
    history: "etcd 15271: after a received snapshot watchers get old events again",
    file: "store/dist/watch/watch-hub.js",
    find: "watcher.minRevision = Math.max(watcher.minRevision, this.#revision + 1);",
    replace: "watcher.minRevision = Math.max(watcher.startRevision, this.#source.compactRevision(), 1);",
    replay: {
      seed: 10,
      overrides: { ...lagging, faults: ["isolate"] },
    },
  },
  {
    name: "victim-batch-dropped",
    history: "etcd PR 21443: the events that a watcher of a full stream was to get are replaced by later ones",
    file: "store/dist/watch/watch-hub.js",
    find: "stream.victims.set(watcher, batch);",
    replace: "stream.victims.set(watcher, { ...batch, events: batch.events.slice(-1) });",
    replay: { seed: 4, overrides: { ...slowWatchers } },
  },
  {
    name: "watch-splits-revision",
    history: "api guarantees, Atomic: the events of one revision come in two responses",
    file: "store/dist/watch/watch-hub.js",
    find: "const isNewRevision = rowMain !== main;",
    replace: "const isNewRevision = true;",
    replay: { seed: 5, overrides: { ...slowWatchers } },
  },
  {
    name: "expired-lease-renewed",
    history: "etcd PR 20615: a keepalive of a lease that has expired succeeds, and the lease is revoked",
    file: "store/dist/lease/lessor.js",
    find: 'if (lease.expiryMs <= nowMs)\n            return { kind: "expired" };',
    replace: 'if (lease.expiryMs <= nowMs)\n            return { kind: "renewed", ttl: lease.ttl };',
    replay: { seed: 2, overrides: { ...alone, leases: true, clients: 12 } },
  },
  {
    name: "stale-leader-renews",
    history: "etcd 15247: a stalled leader that was replaced answers keepalives of leases that are gone",
    file: "server/dist/node/member.js",
    find: "confirmLeadership: (done) => this.#leadership.confirm(done),",
    replace: "confirmLeadership: (done) => done(this.isLeader),",
    replay: {
      seed: 3,
      overrides: {
        ...small,
        faults: ["pause"],
        leaderChance: 0.8,
        heartbeatMs: 20,
        electionMs: 100,
        clients: 16,
        requestsPerSecond: 10,
        keys: 10,
        leases: true,
        renewsRevoked: true,
      },
    },
  },
  {
    name: "key-not-detached",
    history: "a key that has moved to another lease goes with the first one",
    file: "store/dist/lease/lessor.js",
    find: "deleteKey(lease, key);",
    replace: "",
    replay: { seed: 1, overrides: { ...alone, leases: true, clients: 12, keys: 3 } },
  },
  {
    name: "lease-left-on-followers",
    history: "etcd 11495: followers keep leases that were revoked",
    file: "store/dist/lease/lessor.js",
    find: "this.#leases.delete(id);\n        if (this.#promotion",
    replace: "if (this.#promotion !== undefined)\n            this.#leases.delete(id);\n        if (this.#promotion",
    replay: { seed: 1, overrides: { ...small, leases: true } },
  },
];
