/**
 * One test per claim of the Raft paper ("In Search of an Understandable Consensus Algorithm", extended version) and of
 * Ongaro's thesis ("Consensus: Bridging Theory and Practice"). The section is in the name.
 */

import { describe, expect, test } from "vitest";
import { ConfChangeTransition, ConfChangeType } from "./conf-change.js";
import { bytesOf, electedLeader, snapshotAt, storageWith, TestNode, votersTo } from "./testing/group.js";
import { type Entry, emptyConfState, type Message, MessageType, RaftState } from "./types.js";

const { app, appResp, heartbeat, heartbeatResp, preVote, preVoteResp, readIndex, snap, timeoutNow, vote, voteResp } =
  MessageType;
const ofType = (messages: readonly Message[], type: MessageType) => messages.filter((message) => message.type === type);
const entry = (term: number, index: number): Entry => ({ type: 0, term, index, data: undefined });

describe("paper §5.1, terms", () => {
  for (const [role, prepare] of [
    ["follower", () => new TestNode(storageWith(votersTo(3), [], { term: 1 }))],
    ["candidate", () => candidate(3)],
    ["leader", () => electedLeader(3)],
  ] as const) {
    test(`a ${role} that meets a higher term takes it on and follows`, () => {
      const node = prepare();
      node.receive(app, { term: 7 });
      expect(node.raft).toMatchObject({ term: 7, state: RaftState.follower, lead: 2n });
    });

    test(`a ${role} ignores a request of a lower term`, () => {
      const node = prepare();
      const before = node.raft.log.lastIndex();
      node.receive(app, { term: 7, from: 3n });
      expect(node.receive(app, { term: 2, entries: [entry(2, before + 1)], index: before })).toEqual([]);
      expect(node.raft.log.lastIndex()).toBe(before);
    });
  }
});

describe("paper §5.2, leader election", () => {
  test("a node starts as follower", () => {
    expect(new TestNode(storageWith(votersTo(3))).raft.state).toBe(RaftState.follower);
  });

  test("a follower stays one while it hears from a leader", () => {
    const node = new TestNode(storageWith(votersTo(3), [], { term: 1 }));
    for (let i = 0; i < 50; i++) {
      node.tick(9);
      node.receive(heartbeat, { term: 1 });
    }
    expect(node.raft.state).toBe(RaftState.follower);
  });

  test("a follower that hears nothing raises its term, votes for itself and asks all others in parallel", () => {
    const node = new TestNode(storageWith(votersTo(3), [1], { term: 2 }));
    const sent = node.tick(10);
    expect(node.raft).toMatchObject({ term: 3, vote: 1n, state: RaftState.candidate });
    expect(sent.map(({ type, to, term, logTerm, index }) => [type, to, term, logTerm, index])).toEqual([
      [vote, 2n, 3, 1, 1],
      [vote, 3n, 3, 1, 1],
    ]);
  });

  test.each([
    [1, 0, true],
    [3, 1, true],
    [3, 0, false],
    [5, 2, true],
    [5, 1, false],
    [4, 1, false],
    [4, 2, true],
  ])("of %i voters, itself and %i others elect a candidate: %s", (count, others, wins) => {
    const node = candidate(count);
    for (let id = 2; id < 2 + others; id++) node.receive(voteResp, { from: BigInt(id) });
    expect(node.raft.state === RaftState.leader).toBe(wins);
  });

  test("a majority of rejections ends the candidacy", () => {
    const node = candidate(3);
    node.receive(voteResp, { from: 2n, reject: true });
    node.receive(voteResp, { from: 3n, reject: true });
    expect(node.raft).toMatchObject({ state: RaftState.follower, term: 1 });
  });

  test("a node votes once a term, first come first served, and again for the same one", () => {
    const node = new TestNode(storageWith(votersTo(3)));
    const answers = ([2n, 3n, 2n] as const).map((from) => node.receive(vote, { from, term: 1 }));
    expect(answers.flat().map(({ to, reject }) => [to, reject])).toEqual([
      [2n, false],
      [3n, true],
      [2n, false],
    ]);
  });

  test("the vote is persisted before it is sent", () => {
    const node = new TestNode(storageWith(votersTo(3)));
    node.node.step({ ...node.raft.hardState, ...blank(vote), from: 2n, to: 1n, term: 1 });
    const ready = node.node.ready();
    expect(ready).toMatchObject({ mustSync: true, hardState: { term: 1, vote: 2n } });
    expect(ready.messages.map(({ type }) => type)).toEqual([voteResp]);
    expect(() => node.node.ready()).toThrow("two accepted Ready structs");
  });

  test("a vote survives a restart", () => {
    const first = new TestNode(storageWith(votersTo(3)));
    first.receive(vote, { from: 2n, term: 1 });
    const again = new TestNode(first.storage);
    expect(again.receive(vote, { from: 3n, term: 1 })[0]).toMatchObject({ reject: true });
  });

  test("a candidate that hears from a leader of its term follows it", () => {
    for (const type of [app, heartbeat]) {
      const node = candidate(3);
      node.receive(type, { from: 3n });
      expect(node.raft).toMatchObject({ state: RaftState.follower, lead: 3n, term: 1 });
    }
  });

  test("a candidate without result starts a new election", () => {
    const node = candidate(3);
    node.tick(10);
    expect(node.raft).toMatchObject({ state: RaftState.candidate, term: 2 });
  });

  test("election timeouts are drawn from [timeout, 2 timeouts)", () => {
    const drawn = new Set<number>();
    for (let i = 0; i < 10; i++) {
      const random = (bound: number) => {
        expect(bound).toBe(10);
        return i;
      };
      const node = new TestNode(storageWith(votersTo(3)), { random });
      let ticks = 0;
      while (node.raft.state === RaftState.follower) {
        node.tick();
        ticks++;
      }
      drawn.add(ticks);
    }
    expect([...drawn]).toEqual([10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
  });

  test("a leader sends heartbeats at once to keep its authority", () => {
    const leader = electedLeader(3, { heartbeatTick: 2 });
    expect(leader.tick()).toEqual([]);
    expect(ofType(leader.tick(), heartbeat).map(({ to }) => to)).toEqual([2n, 3n]);
  });
});

describe("paper §5.3, log replication", () => {
  test("a leader appends a proposal and sends it to all in parallel", () => {
    const leader = electedLeader(3);
    for (const from of [2n, 3n]) leader.receive(appResp, { from, index: 1 });
    leader.node.propose(bytesOf("x"));
    const sent = leader.work();
    expect(sent.map(({ type, to, index, logTerm, entries }) => [type, to, index, logTerm, entries.length])).toEqual([
      [app, 2n, 1, 1, 1],
      [app, 3n, 1, 1, 1],
    ]);
  });

  test.each([
    [1, 0, true],
    [3, 0, false],
    [3, 1, true],
    [5, 1, false],
    [5, 2, true],
  ])("of %i voters, the leader and %i others commit an entry: %s", (count, others, commits) => {
    const leader = electedLeader(count);
    for (let id = 2; id < 2 + others; id++) leader.receive(appResp, { from: BigInt(id), index: 1 });
    expect(leader.raft.log.committed).toBe(commits ? 1 : 0);
  });

  test("committing an entry commits all before it, also those of earlier leaders", () => {
    const leader = electedLeader(3, {}, storageWith(votersTo(3), [1, 2]));
    leader.receive(appResp, { from: 2n, index: 3 });
    expect(leader.committed.map(({ term, index }) => [term, index])).toEqual([
      [1, 1],
      [2, 2],
      [3, 3],
    ]);
  });

  test("a follower learns what is committed and applies it in order", () => {
    const node = new TestNode(storageWith(votersTo(3)));
    node.receive(app, { term: 1, entries: [entry(1, 1), entry(1, 2)], commit: 1 });
    expect(node.committed.map(({ index }) => index)).toEqual([1]);
    node.receive(heartbeat, { term: 1, commit: 2 });
    expect(node.committed.map(({ index }) => index)).toEqual([1, 2]);
  });

  test("a follower commits no more than the append has shown to match", () => {
    const node = new TestNode(storageWith(votersTo(3), [1, 1, 1]));
    node.receive(app, { term: 2, index: 1, logTerm: 1, entries: [], commit: 3 });
    expect(node.raft.log.committed).toBe(1);
  });

  test.each([
    [0, 0, false],
    [1, 1, false],
    [2, 2, false],
    [1, 2, true],
    [3, 3, true],
  ])("an append after (term %i, index %i) is rejected: %s", (logTerm, index, reject) => {
    const node = new TestNode(storageWith(votersTo(3), [1, 2]));
    const [answer] = node.receive(app, { term: 3, logTerm, index });
    expect(answer).toMatchObject({ type: appResp, reject });
  });

  test.each([
    [[1, 2], 0, 0, [1, 1], [1, 1]],
    [[1, 2], 1, 1, [3], [1, 3]],
    [[1, 2], 1, 1, [], [1, 2]],
    [[1, 1, 1], 1, 1, [1], [1, 1, 1]],
    [[1, 1, 1], 1, 1, [2], [1, 2]],
    [[1], 1, 1, [1, 2, 3], [1, 1, 2, 3]],
  ])("a log %j given entries after (%i, %i) of terms %j becomes %j", (terms, logTerm, index, sent, result) => {
    const node = new TestNode(storageWith(votersTo(3), terms));
    node.receive(app, { term: 3, logTerm, index, entries: sent.map((term, i) => entry(term, index + 1 + i)) });
    expect(node.terms()).toEqual(result);
  });

  // The followers of the paper's figure 7.
  test.each([
    ["a", [1, 1, 1, 4, 4, 5, 5, 6, 6]],
    ["b", [1, 1, 1, 4]],
    ["c", [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6]],
    ["d", [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7]],
    ["e", [1, 1, 1, 4, 4, 4, 4]],
    ["f", [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3]],
  ])("figure 7: the log of follower (%s) comes to match the leader's", (_name, terms) => {
    const confState = votersTo(3);
    const leader = electedLeader(3, {}, storageWith(confState, [1, 1, 1, 4, 4, 5, 5, 6, 6, 6], { term: 7 }));
    const follower = new TestNode(storageWith(confState, terms, { term: 7 }), { id: 2n });
    let pending = leader.tick();
    for (let round = 0; round < 20; round++) {
      for (const message of pending.filter(({ to }) => to === 2n)) follower.node.step(message);
      for (const message of follower.work()) leader.node.step(message);
      pending = leader.tick();
    }
    expect(follower.terms()).toEqual(leader.terms());
  });

  test("a whole term is skipped in one round of probing", () => {
    const node = new TestNode(storageWith(votersTo(3), [1, 2, 2, 2, 2]));
    const [answer] = node.receive(app, { term: 9, logTerm: 1, index: 5 });
    expect(answer).toMatchObject({ reject: true, rejectHint: 1, logTerm: 1 });
  });

  test("a duplicate append changes nothing and is acknowledged", () => {
    const node = new TestNode(storageWith(votersTo(3)));
    const message = { term: 1, entries: [entry(1, 1), entry(1, 2)] };
    node.receive(app, message);
    expect(node.receive(app, message)[0]).toMatchObject({ type: appResp, index: 2, reject: false });
    expect(node.terms()).toEqual([1, 1]);
  });

  test("an older, shorter append does not truncate the log", () => {
    const node = new TestNode(storageWith(votersTo(3)));
    node.receive(app, { term: 1, entries: [entry(1, 1), entry(1, 2)] });
    node.receive(app, { term: 1, entries: [entry(1, 1)] });
    expect(node.terms()).toEqual([1, 1]);
  });
});

describe("paper §5.4, safety", () => {
  // Own log ends with (term 1, index 2) or (2, 1); the candidate's with (term, index).
  test.each([
    [[1, 1], 1, 1, true],
    [[1, 1], 1, 2, false],
    [[1, 1], 1, 3, false],
    [[1, 1], 2, 1, false],
    [[1, 2], 1, 5, true],
  ])(
    "§5.4.1: with log %j a vote for a log ending (term %i, index %i) is refused: %s",
    (terms, logTerm, index, reject) => {
      const node = new TestNode(storageWith(votersTo(3), terms));
      expect(node.receive(vote, { term: 3, logTerm, index })[0]).toMatchObject({ type: voteResp, reject });
    },
  );

  test("§5.4.2: entries of earlier terms are not committed by counting", () => {
    const leader = electedLeader(3, {}, storageWith(votersTo(3), [1, 2]));
    leader.receive(appResp, { from: 2n, index: 2 });
    leader.receive(appResp, { from: 3n, index: 2 });
    expect(leader.raft.log.committed).toBe(0);
    leader.receive(appResp, { from: 2n, index: 3 });
    expect(leader.raft.log.committed).toBe(3);
  });

  test("§5.4: a committed entry is never replaced; the node stops", () => {
    const node = new TestNode(storageWith(votersTo(3), [1, 1], { commit: 2 }));
    const refusal = node.node.step({ ...blank(app), from: 2n, to: 1n, term: 3, index: 2, logTerm: 1, commit: 2 });
    expect(refusal).toBeUndefined();
    // Entries at or below the commit index are not even looked at: the answer tells what is committed.
    const [answer] = node.receive(app, { term: 3, index: 0, logTerm: 0, entries: [entry(3, 1)] });
    expect(answer).toMatchObject({ index: 2, reject: false });
    expect(node.terms()).toEqual([1, 1]);
  });
});

describe("paper §7, snapshots", () => {
  test("a follower replaces its log by a snapshot that goes beyond it", () => {
    const node = new TestNode(storageWith(votersTo(3), [1, 1]));
    const [answer] = node.receive(snap, { term: 2, snapshot: snapshotAt(9, 2, votersTo(3)) });
    expect(answer).toMatchObject({ type: appResp, index: 9 });
    expect(node.raft.log).toMatchObject({ committed: 9, applied: 9 });
    expect(node.raft.log.firstIndex()).toBe(10);
  });

  test("a follower that has the snapshot's last entry keeps what follows it", () => {
    const node = new TestNode(storageWith(votersTo(3), [1, 1, 1]));
    node.receive(snap, { term: 2, snapshot: snapshotAt(2, 1, votersTo(3)) });
    expect(node.raft.log.committed).toBe(2);
    expect(node.terms()).toEqual([1, 1, 1]);
  });

  test("an old snapshot is ignored", () => {
    const node = new TestNode(storageWith(votersTo(3), [1, 1, 1], { commit: 3 }));
    const [answer] = node.receive(snap, { term: 2, snapshot: snapshotAt(2, 1, votersTo(3)) });
    expect(answer).toMatchObject({ type: appResp, index: 3 });
  });
});

describe("thesis §3.10, leadership transfer", () => {
  test("an up-to-date target is told at once, and needs neither timeout nor pre-vote", () => {
    const leader = electedLeader(3);
    leader.receive(appResp, { from: 2n, index: 1 });
    leader.node.transferLeader(2n);
    expect(ofType(leader.work(), timeoutNow).map(({ to }) => to)).toEqual([2n]);
    const target = new TestNode(storageWith(votersTo(3), [1]), { id: 2n, preVote: true });
    expect(target.receive(timeoutNow, { from: 1n, term: 1 }).map(({ type }) => type)).toEqual([vote, vote]);
  });

  test("voters do not hold their lease against it", () => {
    const node = new TestNode(storageWith(votersTo(3)), { checkQuorum: true });
    node.receive(heartbeat, { term: 1 });
    expect(node.receive(vote, { from: 3n, term: 2 })).toEqual([]);
    const context = bytesOf("CampaignTransfer");
    expect(node.receive(vote, { from: 3n, term: 2, context })[0]).toMatchObject({ type: voteResp, reject: false });
  });
});

describe("thesis §4, membership changes", () => {
  const add = { type: ConfChangeType.addNode, nodeId: 4n };

  test("§4.1: no second change while one is not applied", () => {
    const leader = electedLeader(1);
    leader.work();
    for (const nodeId of [2n, 3n]) leader.node.proposeConfChange({ ...add, nodeId, id: 0n, context: undefined });
    leader.work();
    expect(leader.committed.map(({ type }) => type)).toEqual([0, 1, 0]);
  });

  test("§4.1: a change of several voters at once needs a joint configuration", () => {
    const leader = electedLeader(3);
    const changes = [add, { type: ConfChangeType.addNode, nodeId: 5n }];
    const next = leader.node.applyConfChange({ transition: ConfChangeTransition.auto, changes, context: undefined });
    expect(next).toMatchObject({ voters: [1n, 2n, 3n, 4n, 5n], votersOutgoing: [1n, 2n, 3n], autoLeave: true });
  });

  test("§4.2.1: a learner is sent entries and does not count", () => {
    const leader = electedLeader(1);
    leader.work();
    leader.node.applyConfChange({ type: ConfChangeType.addLearnerNode, nodeId: 2n, id: 0n, context: undefined });
    leader.node.propose(bytesOf("x"));
    const sent = leader.work();
    expect(ofType(sent, app).map(({ to }) => to)).toContain(2n);
    expect(leader.raft.log.committed).toBe(2);
  });

  test("§4.2.1: a learner does not campaign", () => {
    const learner = new TestNode(storageWith({ ...votersTo(2), learners: [3n] }), { id: 3n });
    expect(learner.tick(100)).toEqual([]);
    expect(learner.raft.term).toBe(0);
  });

  test("§4.2.2: a removed leader leads on without counting itself, or steps down", () => {
    for (const stepDownOnRemoval of [false, true]) {
      const leader = electedLeader(3, { stepDownOnRemoval });
      leader.node.applyConfChange({ type: ConfChangeType.removeNode, nodeId: 1n, id: 0n, context: undefined });
      expect(leader.raft.state).toBe(stepDownOnRemoval ? RaftState.follower : RaftState.leader);
      if (stepDownOnRemoval) continue;
      leader.receive(appResp, { from: 2n, index: 1 });
      expect(leader.raft.log.committed).toBe(0);
      leader.receive(appResp, { from: 3n, index: 1 });
      expect(leader.raft.log.committed).toBe(1);
    }
  });

  test("§4.2.3: who hears from a leader ignores a disruptive candidate, its term included", () => {
    const node = new TestNode(storageWith(votersTo(3)), { checkQuorum: true });
    node.receive(heartbeat, { term: 1 });
    expect(node.receive(vote, { from: 3n, term: 9 })).toEqual([]);
    expect(node.raft.term).toBe(1);
    node.raft.electionElapsed = 10;
    expect(node.receive(vote, { from: 3n, term: 9 })[0]).toMatchObject({ reject: false });
  });

  test("§4.3: a joint configuration elects and commits with both majorities", () => {
    const joint = { ...emptyConfState, voters: [1n, 2n, 3n], votersOutgoing: [1n, 4n, 5n] };
    const leader = new TestNode(storageWith(joint));
    leader.node.campaign();
    leader.work();
    leader.receive(voteResp, { from: 2n });
    expect(leader.raft.state).toBe(RaftState.candidate);
    leader.receive(voteResp, { from: 4n });
    expect(leader.raft.state).toBe(RaftState.leader);
    leader.receive(appResp, { from: 2n, index: 1 });
    leader.receive(appResp, { from: 3n, index: 1 });
    expect(leader.raft.log.committed).toBe(0);
    leader.receive(appResp, { from: 5n, index: 1 });
    expect(leader.raft.log.committed).toBe(1);
  });
});

describe("thesis §6.2 and §6.4, clients", () => {
  test("§6.2: a leader that cannot reach a quorum steps down", () => {
    const leader = electedLeader(3, { checkQuorum: true });
    leader.tick(9);
    expect(leader.raft.state).toBe(RaftState.leader);
    leader.tick(1);
    expect(leader.raft.state).toBe(RaftState.follower);
  });

  test("§6.4: a read waits for the first commit of the term and for a quorum's heartbeats", () => {
    const leader = electedLeader(3, {}, storageWith(votersTo(3), [1, 1], { commit: 1 }));
    leader.node.readIndex(bytesOf("r"));
    expect(leader.work()).toEqual([]);
    const sent = leader.receive(appResp, { from: 2n, index: 3 });
    expect(leader.reads).toEqual([]);
    const [beat] = ofType(sent, heartbeat);
    leader.receive(heartbeatResp, { from: 2n, context: beat?.context });
    expect(leader.reads).toEqual([3]);
  });

  test("§6.4: answers to earlier heartbeats confirm nothing", () => {
    const leader = electedLeader(3);
    leader.receive(appResp, { from: 2n, index: 1 });
    const [early] = ofType(leader.tick(), heartbeat);
    leader.node.readIndex(bytesOf("r"));
    leader.work();
    leader.receive(heartbeatResp, { from: 2n, context: early?.context });
    expect(leader.reads).toEqual([]);
  });

  test("§6.4: a follower's read is answered by the leader", () => {
    const leader = electedLeader(1);
    leader.work();
    const [answer] = leader.receive(readIndex, {
      from: 2n,
      term: 0,
      entries: [{ ...entry(0, 0), data: bytesOf("r") }],
    });
    expect(answer).toMatchObject({ type: MessageType.readIndexResp, to: 2n, index: 1 });
  });

  test("§6.4.1: with a lease the leader answers at once", () => {
    const leader = electedLeader(3, { checkQuorum: true, readOnlyOption: "lease-based" });
    leader.receive(appResp, { from: 2n, index: 1 });
    leader.node.readIndex(bytesOf("r"));
    leader.work();
    expect(leader.reads).toEqual([1]);
  });
});

describe("thesis §9.6, pre-vote", () => {
  test("a node that cannot win does not raise its term", () => {
    const node = new TestNode(storageWith(votersTo(3), [1]), { preVote: true });
    const sent = node.tick(10);
    expect(sent.map(({ type, term }) => [type, term])).toEqual([
      [preVote, 2],
      [preVote, 2],
    ]);
    expect(node.raft).toMatchObject({ term: 1, vote: 0n, state: RaftState.preCandidate });
    node.receive(preVoteResp, { from: 2n, reject: true });
    node.receive(preVoteResp, { from: 3n, reject: true });
    expect(node.raft).toMatchObject({ term: 1, state: RaftState.follower });
  });

  test("with a majority's pre-votes it campaigns", () => {
    const node = new TestNode(storageWith(votersTo(3), [1]), { preVote: true });
    node.tick(10);
    node.receive(preVoteResp, { from: 2n, term: 2 });
    expect(node.raft).toMatchObject({ term: 2, vote: 1n, state: RaftState.candidate });
  });

  test("granting a pre-vote changes neither term nor vote, and any number may be granted", () => {
    const node = new TestNode(storageWith(votersTo(3), [1]));
    for (const from of [2n, 3n]) {
      const [answer] = node.receive(preVote, { from, term: 5, index: 1, logTerm: 1 });
      expect(answer).toMatchObject({ type: preVoteResp, term: 5, reject: false });
    }
    expect(node.raft).toMatchObject({ term: 1, vote: 0n });
  });
});

describe("thesis §10.2, pipelining", () => {
  test("§10.2.1: the leader sends on without waiting, within its window", () => {
    const leader = electedLeader(3, { maxInflightMessages: 2 });
    leader.receive(appResp, { from: 2n, index: 1 });
    const sent = [1, 2, 3].flatMap(() => {
      leader.node.propose(bytesOf("x"));
      return ofType(leader.work(), app).filter(({ to, entries }) => to === 2n && entries.length > 0);
    });
    expect(sent.map(({ index }) => index)).toEqual([1, 2]);
  });

  test("§10.2.1: the leader counts its own entries only when they are durable", () => {
    const leader = electedLeader(1);
    leader.work();
    leader.node.propose(bytesOf("x"));
    expect(leader.raft.log.committed).toBe(1);
    leader.node.ready();
    expect(leader.raft.log.committed).toBe(1);
    leader.node.advance();
    expect(leader.raft.log.committed).toBe(2);
  });
});

function candidate(count: number): TestNode {
  const node = new TestNode(storageWith(votersTo(count)));
  node.tick(10);
  return node;
}

function blank(type: MessageType): Message {
  return {
    type,
    to: 0n,
    from: 0n,
    term: 0,
    logTerm: 0,
    index: 0,
    entries: [],
    commit: 0,
    snapshot: undefined,
    reject: false,
    rejectHint: 0,
    context: undefined,
    vote: 0n,
    responses: [],
  };
}
