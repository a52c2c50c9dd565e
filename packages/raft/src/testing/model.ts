/**
 * Random groups in a random world, with every safety property checked after every step: messages are lost, repeated and
 * reordered, nodes crash and come back with what was durable, storage is slow, the configuration changes. All is drawn
 * from a seed; the same seed gives the same run.
 */

import { ConfChangeTransition, ConfChangeType, toConfChangeV2 } from "../conf-change.js";
import { entryConfChange } from "../conf-change-codec.js";
import type { Config } from "../config.js";
import { describeConfig, describeState } from "../describe.js";
import { isFatalRefusal, RaftError, type Refusal } from "../errors.js";
import { MemoryStorage } from "../memory-storage.js";
import { RawNode, raftOf } from "../raw-node.js";
import type { Ready } from "../ready.js";
import {
  type ConfState,
  type Entry,
  emptyConfState,
  isEmptyHardState,
  isLocalTarget,
  localAppendThread,
  type Message,
  MessageType,
  type NodeId,
  noLimit,
  RaftState,
  type Snapshot,
} from "../types.js";
import { InvariantChecker, InvariantViolation } from "./invariants.js";
import { SeededRandom } from "./random.js";

/** Messages delivered to one group before the next one is made, and steps for those that exchange few. */
const episodeMessages = 5_000;
const episodeSteps = 15_000;
const maxNodes = 9;
/** Messages on the way; a network that is full loses the oldest. */
const maxInFlight = 400;

export interface ModelOptions {
  readonly seed: number;
  /** Messages to deliver, in all. */
  readonly messages: number;
}

/** What a run has seen. */
export interface ModelFigures {
  groups: number;
  messages: number;
  steps: number;
  entries: number;
  elections: number;
  crashes: number;
  confChanges: number;
  snapshots: number;
  reads: number;
  /**
   * Groups that could not go on for a reason that Raft leaves to the operator: a voter of the latest configuration does
   * not know of it, and those who could tell it may not lead any more.
   */
  stranded: number;
}

/**
 * Runs groups until `messages` messages were delivered. Throws `InvariantViolation`, whose message names the seed that
 * repeats it: `runModel({ seed, messages: 1 })`.
 */
export function runModel({ seed, messages }: ModelOptions): ModelFigures {
  const figures: ModelFigures = {
    groups: 0,
    messages: 0,
    steps: 0,
    entries: 0,
    elections: 0,
    crashes: 0,
    confChanges: 0,
    snapshots: 0,
    reads: 0,
    stranded: 0,
  };
  for (let groupSeed = seed; figures.messages < messages; groupSeed++) {
    const group = new ModelGroup(groupSeed, figures);
    try {
      group.run();
    } catch (error) {
      const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      throw new InvariantViolation(`seed ${groupSeed}: ${text}\n${group.describe()}`, { cause: error });
    }
    figures.groups++;
  }
  return figures;
}

/** How likely things are in one group: drawn once, so that groups differ in kind. */
interface Weather {
  readonly loss: number;
  readonly duplication: number;
  readonly reordering: number;
  readonly crash: number;
  readonly tick: number;
  readonly propose: number;
  readonly confChange: number;
  readonly partition: number;
  readonly compact: number;
  readonly storageDelay: number;
}

/** A storage that sends snapshots of the state as it is now, as etcd does. */
class ModelStorage extends MemoryStorage {
  current: () => Snapshot = () => this.persistedSnapshot();

  override snapshot(): Snapshot {
    return this.current();
  }

  /** The snapshot that a restart begins with. */
  persistedSnapshot(): Snapshot {
    const snapshot = super.snapshot();
    if (typeof snapshot === "string") throw new InvariantViolation(snapshot);
    return snapshot;
  }
}

class ModelNode {
  readonly id: NodeId;
  readonly storage = new ModelStorage();
  rawNode: RawNode;
  readonly async: boolean;
  applied = 0;
  confState: ConfState = emptyConfState;
  /** The Ready that is being handled, and how far: persisted, or sent too. */
  outstanding: { readonly ready: Ready; persisted: boolean; sent: boolean } | undefined;
  appendWork: Message[] = [];
  applyWork: Message[] = [];
  /** The committed entries when each read was asked for, by the number in its context. */
  readonly reads = new Map<number, number>();

  constructor(id: NodeId, async: boolean, start: (node: ModelNode) => RawNode, founding: Snapshot | undefined) {
    this.id = id;
    this.async = async;
    if (founding !== undefined) {
      this.storage.applySnapshot(founding);
      this.applied = founding.metadata.index;
      this.confState = founding.metadata.confState;
    }
    this.storage.current = () => this.#snapshot();
    this.rawNode = start(this);
  }

  #snapshot(): Snapshot {
    const persisted = this.storage.persistedSnapshot();
    const term = this.storage.term(this.applied);
    if (this.applied <= persisted.metadata.index || typeof term !== "number") return persisted;
    return { data: undefined, metadata: { confState: this.confState, index: this.applied, term } };
  }
}

class ModelGroup {
  readonly #seed: number;
  readonly #random: SeededRandom;
  readonly #figures: ModelFigures;
  readonly #weather: Weather;
  readonly #config: Omit<Config, "id" | "storage" | "random">;
  readonly #nodes: ModelNode[] = [];
  readonly #checker: InvariantChecker;
  #network: Message[] = [];
  /** Pairs of nodes that cannot talk, as `from/to`. */
  readonly #cut = new Set<string>();
  #lastRead = 0;
  #delivered = 0;

  constructor(seed: number, figures: ModelFigures) {
    this.#seed = seed;
    this.#figures = figures;
    const random = new SeededRandom(seed);
    this.#random = random;
    this.#weather = {
      loss: random.pick([0, 0, 0.01, 0.05, 0.2]),
      duplication: random.pick([0, 0, 0.02, 0.1]),
      reordering: random.pick([0, 0.05, 0.3, 1]),
      crash: random.pick([0, 0.0005, 0.002, 0.01]),
      tick: random.pick([0.01, 0.03, 0.1]),
      propose: random.pick([0.01, 0.05, 0.1]),
      confChange: random.pick([0, 0.001, 0.01]),
      partition: random.pick([0, 0, 0.001, 0.003]),
      compact: random.pick([0, 0.002, 0.01]),
      storageDelay: random.pick([0, 0.3, 0.8]),
    };
    const checkQuorum = random.chance(0.5);
    this.#config = {
      electionTick: random.pick([3, 10]),
      heartbeatTick: 1,
      maxSizePerMessage: random.pick([0, 40, 1000, noLimit]),
      maxInflightMessages: random.pick([1, 2, 8, 256]),
      maxCommittedSizePerReady: random.pick([1, 50, noLimit]),
      maxUncommittedEntriesSize: random.pick([0, 0, 100]),
      asyncStorageWrites: random.chance(0.5),
      preVote: random.chance(0.5),
      checkQuorum,
      stepDownOnRemoval: random.chance(0.5),
      disableProposalForwarding: random.chance(0.2),
    };
    const count = random.between(1, 7);
    const voters = Array.from({ length: count }, (_, i) => BigInt(i + 1));
    const learners = count < 7 && random.chance(0.3) ? [BigInt(count + 1)] : [];
    const confState = { ...emptyConfState, voters, learners };
    this.#checker = new InvariantChecker(confState);
    this.#checker.committed.push({ type: 0, term: 1, index: 1, data: undefined });
    const founding: Snapshot = { data: undefined, metadata: { confState, index: 1, term: 1 } };
    for (let i = 1; i <= maxNodes; i++) {
      const isFounder = i <= count + learners.length;
      this.#checker.addNode(BigInt(i), { isFounder });
      const start = (node: ModelNode) => this.#start(node);
      const async = this.#config.asyncStorageWrites ?? false;
      this.#nodes.push(new ModelNode(BigInt(i), async, start, isFounder ? founding : undefined));
    }
  }

  /** What is needed to understand a violation. */
  describe(): string {
    const show = (value: object) =>
      Object.entries(value)
        .map(([key, one]) => `${key}=${one}`)
        .join(" ");
    const { config } = this.#checker;
    const nodes = this.#nodes.map(({ id, rawNode }) => {
      const { state, term, lead, log, tracker } = raftOf(rawNode);
      const own = `${describeState(state)} term=${term} lead=${lead} last=${log.lastTerm()}/${log.lastIndex()}`;
      return `${id}: ${own} ${describeConfig(tracker.config)} ${log.describe()}`;
    });
    return `${show(this.#weather)}\n${show(this.#config)}\nlatest ${describeConfig(config)}\n${nodes.join("\n")}`;
  }

  run(): void {
    let steps = 0;
    for (; steps < episodeSteps && this.#delivered < episodeMessages; steps++) this.#act();
    this.#figures.steps += steps;
    this.#converge();
    this.#figures.elections += this.#checker.elections;
    this.#figures.entries += this.#checker.committed.length - 2;
  }

  #start(node: ModelNode): RawNode {
    const { id, storage } = node;
    return new RawNode({ ...this.#config, id, storage, random: (bound) => this.#random.integer(bound) });
  }

  #node(id: NodeId): ModelNode {
    return this.#nodes[Number(id) - 1] as ModelNode;
  }

  // ---- What happens -------------------------------------------------------------------------------------------------

  #act(): void {
    const random = this.#random;
    const weather = this.#weather;
    const node = this.#pickNode();
    if (random.chance(weather.crash)) this.#crash(node);
    if (random.chance(weather.propose)) this.#propose(node);
    if (random.chance(weather.confChange)) this.#proposeConfChange(node);
    if (random.chance(weather.partition)) this.#partition();
    if (random.chance(weather.compact)) this.#compact(node);
    if (random.chance(0.005)) this.#nudge(node);
    // Time passes when nothing else happens, too.
    if (random.chance(weather.tick) || this.#network.length === 0) {
      node.rawNode.tick();
      this.#observe(node);
    }
    if (this.#network.length > 0) this.#deliver();
    if (!random.chance(weather.storageDelay)) this.#workSomewhere();
  }

  /** Mostly a member of the group; the others are idle but for the time after they were removed. */
  #pickNode(): ModelNode {
    const { voters } = this.#checker.config;
    return this.#random.chance(0.8) ? this.#node(this.#random.pick(voters)) : this.#random.pick(this.#nodes);
  }

  #workSomewhere(): void {
    const first = this.#random.integer(maxNodes);
    for (let i = 0; i < maxNodes; i++) {
      if (this.#work(this.#nodes[(first + i) % maxNodes] as ModelNode)) return;
    }
  }

  #observe(node: ModelNode): void {
    this.#checker.observe(raftOf(node.rawNode));
  }

  #deliver(): void {
    const random = this.#random;
    const network = this.#network;
    const position = random.chance(this.#weather.reordering) ? random.integer(network.length) : 0;
    const message = network[position] as Message;
    if (!random.chance(this.#weather.duplication)) {
      if (position === 0) network.shift();
      else network.splice(position, 1);
    }
    if (random.chance(this.#weather.loss) || this.#cut.has(`${message.from}/${message.to}`)) this.#lose(message);
    else this.#step(message);
  }

  #step(message: Message): void {
    this.#delivered++;
    this.#figures.messages++;
    const node = this.#node(message.to);
    expectSound(node.rawNode.step(message));
    this.#observe(node);
    if (message.type !== MessageType.snap) return;
    this.#figures.snapshots++;
    this.#node(message.from).rawNode.reportSnapshot(message.to, "finish");
    this.#observe(this.#node(message.from));
  }

  #lose({ type, from, to }: Message): void {
    const sender = this.#node(from);
    if (type === MessageType.snap) sender.rawNode.reportSnapshot(to, "failure");
    else if (type === MessageType.app && this.#random.chance(0.2)) sender.rawNode.reportUnreachable(to);
    this.#observe(sender);
  }

  #send(message: Message): void {
    const { type, from, to, term } = message;
    if (type === MessageType.voteResp && !message.reject) this.#checker.voted(from, term, to);
    this.#network.push(message);
    if (this.#network.length > maxInFlight) this.#lose(this.#network.shift() as Message);
  }

  #propose(node: ModelNode): void {
    const { rawNode } = node;
    if (this.#random.chance(0.2)) {
      const context = new Uint8Array(8);
      new DataView(context.buffer).setUint32(0, ++this.#lastRead);
      node.reads.set(this.#lastRead, this.#checker.committed.length - 1);
      rawNode.readIndex(context);
    } else if (this.#random.chance(0.3)) {
      rawNode.proposeMany(Array.from({ length: this.#random.between(1, 5) }, () => new Uint8Array(10)));
    } else {
      rawNode.propose(new Uint8Array(this.#random.integer(30)));
    }
    this.#observe(node);
  }

  #proposeConfChange(node: ModelNode): void {
    const random = this.#random;
    const { rawNode } = node;
    const { confState, softState } = rawNode.status();
    if (softState.raftState !== RaftState.leader) return;
    if (confState.votersOutgoing.length > 0) {
      rawNode.proposeConfChange({ transition: ConfChangeTransition.auto, changes: [], context: undefined });
    } else {
      const change = () => ({
        type: random.pick([ConfChangeType.addNode, ConfChangeType.addLearnerNode, ConfChangeType.removeNode]),
        nodeId: BigInt(random.between(1, maxNodes)),
      });
      if (random.chance(0.5)) {
        rawNode.proposeConfChange({ ...change(), id: 0n, context: undefined });
      } else {
        const changes = Array.from({ length: random.between(1, 4) }, change);
        const transition = random.pick(Object.values(ConfChangeTransition));
        rawNode.proposeConfChange({ transition, changes, context: undefined });
      }
    }
    this.#observe(node);
  }

  /** Cuts or heals links between nodes, in one direction or both. */
  #partition(): void {
    const random = this.#random;
    if (random.chance(0.5)) {
      this.#cut.clear();
      return;
    }
    const apart = this.#nodes.filter(() => random.chance(0.4)).map(({ id }) => id);
    const bothWays = random.chance(0.7);
    for (const { id } of this.#nodes) {
      if (apart.includes(id)) continue;
      for (const other of apart) {
        this.#cut.add(`${id}/${other}`);
        if (bothWays) this.#cut.add(`${other}/${id}`);
      }
    }
  }

  /** Makes a snapshot and forgets the entries before it. */
  #compact({ storage, applied, confState }: ModelNode): void {
    const { index } = storage.persistedSnapshot().metadata;
    // With asynchronous writes the storage lags behind; what it does not know to be committed must not be in a
    // snapshot.
    if (applied <= index || applied > storage.initialState().hardState.commit) return;
    storage.createSnapshot(applied, undefined, confState);
    const keep = this.#random.integer(3);
    if (applied - keep >= storage.firstIndex()) storage.compact(applied - keep);
  }

  /** The rarer calls. */
  #nudge(node: ModelNode): void {
    const random = this.#random;
    const peer = BigInt(random.between(1, maxNodes));
    switch (random.integer(4)) {
      case 0:
        node.rawNode.campaign();
        break;
      case 1:
        node.rawNode.transferLeader(peer);
        break;
      case 2:
        node.rawNode.forgetLeader();
        break;
      default:
        node.rawNode.reportUnreachable(peer);
    }
    this.#observe(node);
  }

  #crash(node: ModelNode): void {
    this.#figures.crashes++;
    node.appendWork = [];
    node.applyWork = [];
    node.outstanding = undefined;
    node.reads.clear();
    const { index, confState } = node.storage.persistedSnapshot().metadata;
    node.applied = index;
    node.confState = confState;
    node.rawNode = this.#start(node);
    this.#checker.restarted(raftOf(node.rawNode));
  }

  // ---- The nodes' own work ------------------------------------------------------------------------------------------

  /** Does one step of what the node has to do, and returns whether there was one. */
  #work(node: ModelNode): boolean {
    if (node.async) return this.#workAsync(node);
    const { rawNode } = node;
    if (node.outstanding === undefined) {
      if (!rawNode.hasReady()) return false;
      node.outstanding = { ready: rawNode.ready(), persisted: false, sent: false };
      // A leader may send while it writes.
      if (rawNode.basicStatus().softState.raftState === RaftState.leader && this.#random.chance(0.5)) {
        this.#sendAll(node);
      }
      return true;
    }
    const { ready, persisted, sent } = node.outstanding;
    if (!persisted) {
      node.outstanding.persisted = true;
      const { hardState, entries, snapshot } = ready;
      if (hardState !== undefined && !isEmptyHardState(hardState)) node.storage.setHardState(hardState);
      this.#persist(node, entries, snapshot);
    } else if (!sent) {
      this.#sendAll(node);
    } else {
      this.#answerReads(node, ready);
      this.#apply(node, ready.committedEntries);
      node.outstanding = undefined;
      rawNode.advance();
      this.#observe(node);
    }
    return true;
  }

  #sendAll(node: ModelNode): void {
    if (node.outstanding === undefined) return;
    node.outstanding.sent = true;
    for (const message of node.outstanding.ready.messages) this.#send(message);
  }

  #workAsync(node: ModelNode): boolean {
    const { rawNode } = node;
    const choices: (() => void)[] = [];
    if (rawNode.hasReady()) choices.push(() => this.#handOut(node));
    if (node.appendWork.length > 0) choices.push(() => this.#append(node));
    if (node.applyWork.length > 0) choices.push(() => this.#applyNext(node));
    if (choices.length === 0) return false;
    this.#random.pick(choices)();
    return true;
  }

  #handOut(node: ModelNode): void {
    const ready = node.rawNode.ready();
    this.#answerReads(node, ready);
    for (const message of ready.messages) {
      if (!isLocalTarget(message.to)) this.#send(message);
      else if (message.to === localAppendThread) node.appendWork.push(message);
      else node.applyWork.push(message);
    }
  }

  #append(node: ModelNode): void {
    const { term, vote, commit, entries, snapshot, responses } = node.appendWork.shift() as Message;
    const hardState = { term, vote, commit };
    if (!isEmptyHardState(hardState)) node.storage.setHardState(hardState);
    this.#persist(node, entries, snapshot);
    this.#respond(node, responses);
  }

  #applyNext(node: ModelNode): void {
    const { entries, responses } = node.applyWork.shift() as Message;
    this.#apply(node, entries);
    this.#respond(node, responses);
  }

  #respond(node: ModelNode, responses: readonly Message[]): void {
    for (const response of responses) {
      if (response.to !== node.id) {
        this.#send(response);
      } else {
        expectSound(node.rawNode.step(response));
        this.#observe(node);
      }
    }
  }

  #persist(node: ModelNode, entries: readonly Entry[], snapshot: Snapshot | undefined): void {
    if (snapshot !== undefined && node.storage.applySnapshot(snapshot) === undefined) {
      const { index, confState } = snapshot.metadata;
      this.#checker.persistedSnapshot(node.id, index);
      if (index > node.applied) {
        node.applied = index;
        node.confState = confState;
      }
    }
    node.storage.append(entries);
    this.#checker.persisted(node.id, entries);
  }

  #apply(node: ModelNode, entries: readonly Entry[]): void {
    for (const entry of entries) {
      // A snapshot has overtaken them.
      if (entry.index <= node.applied) continue;
      const change = entryConfChange(entry);
      if (change !== undefined) this.#applyConfChange(node, entry);
      this.#checker.applied(node.id, entry, node.applied, node.confState);
      node.applied = entry.index;
    }
    this.#observe(node);
  }

  #applyConfChange(node: ModelNode, entry: Entry): void {
    const change = entryConfChange(entry);
    if (change === undefined) return;
    try {
      node.confState = node.rawNode.applyConfChange(toConfChangeV2(change), entry.index);
      this.#figures.confChanges++;
    } catch (error) {
      // What an application would have rejected before: all nodes find the same.
      if (!(error instanceof RaftError && error.code === "invalid-conf-change")) throw error;
    }
  }

  #answerReads(node: ModelNode, ready: Ready): void {
    for (const { index, requestContext } of ready.readStates) {
      const number = new DataView(requestContext.buffer, requestContext.byteOffset).getUint32(0);
      const known = node.reads.get(number);
      if (known === undefined) continue;
      node.reads.delete(number);
      this.#figures.reads++;
      this.#checker.read(known, index);
    }
  }

  // ---- Liveness -----------------------------------------------------------------------------------------------------

  /**
   * With a sound network and all nodes up, the group must elect a leader, and commit and apply a new entry everywhere.
   */
  #converge(): void {
    this.#cut.clear();
    let goal: number | undefined;
    for (let round = 0; round < 2_000; round++) {
      const members = this.#members();
      this.#settle(members);
      const leader = members.find(({ rawNode }) => rawNode.basicStatus().softState.raftState === RaftState.leader);
      if (goal !== undefined && this.#haveApplied(goal)) return;
      if (goal === undefined && leader !== undefined && leader.rawNode.propose(new Uint8Array(1)) === undefined) {
        this.#observe(leader);
        goal = raftOf(leader.rawNode).log.lastIndex();
      }
      // A leader of an earlier configuration, or a new election, may have lost it.
      if (round % 200 === 199) goal = undefined;
      for (const node of members) {
        node.rawNode.tick();
        this.#observe(node);
      }
    }
    const latest = describeConfig(this.#checker.config);
    const knowsLatest = (id: NodeId) => describeConfig(raftOf(this.#node(id).rawNode).tracker.config) === latest;
    if (this.#checker.config.voters.every(knowsLatest)) throw new InvariantViolation("no progress in a sound world");
    this.#figures.stranded++;
  }

  #haveApplied(index: number): boolean {
    const { voters, learners } = this.#checker.config;
    return [...voters, ...learners].every((id) => this.#node(id).applied >= index);
  }

  /** All nodes of the latest configuration, and those that one of them still takes for members. */
  #members(): ModelNode[] {
    const members = new Set<NodeId>();
    const add = ({ voters, votersOutgoing, learners }: ConfState) => {
      for (const id of [...voters, ...votersOutgoing, ...learners]) members.add(id);
    };
    add(this.#checker.config);
    for (const id of [...members]) add(raftOf(this.#node(id).rawNode).tracker.config);
    return this.#nodes.filter(({ id }) => members.has(id));
  }

  /** Delivers and works until nothing is left to do. Removed nodes are switched off. */
  #settle(members: readonly ModelNode[]): void {
    for (let worked = true; worked; ) {
      worked = false;
      const messages = this.#network;
      this.#network = [];
      for (const message of messages) {
        if (members.some(({ id }) => id === message.to)) this.#step(message);
        else this.#lose(message);
      }
      for (const node of members) while (this.#work(node)) worked = true;
      worked ||= this.#network.length > 0;
    }
  }

  get seed(): number {
    return this.#seed;
  }
}

/** Correct nodes send nothing that a correct node refuses, but for answers from nodes that were removed meanwhile. */
function expectSound(refusal: Refusal | undefined): void {
  if (refusal === undefined || refusal.code === "peer-not-found" || refusal.code === "proposal-dropped") return;
  const kind = isFatalRefusal(refusal) ? "fatal" : "unexpected";
  throw new InvariantViolation(`${kind} refusal: ${refusal.message}`);
}
