/**
 * An environment for golden scripts of whole groups: nodes, a network that delivers what it is told to, storage and
 * state machines. The commands are those of etcd-io/raft's interaction tests.
 */

import { ConfChangeTransition, toConfChangeV2 } from "../conf-change.js";
import { entryConfChange } from "../conf-change-codec.js";
import type { Config, ReadOnlyOption } from "../config.js";
import { describeEntries, describeMessage, describeReady, describeState, messageTypeOf } from "../describe.js";
import { RaftError, type Refusal } from "../errors.js";
import type { Logger } from "../logger.js";
import { MemoryStorage } from "../memory-storage.js";
import { describeProgressList } from "../progress.js";
import { RawNode } from "../raw-node.js";
import { storageRefusalText } from "../storage.js";
import {
  type ConfState,
  createMessage,
  type Entry,
  emptyConfState,
  emptySnapshot,
  isEmptyHardState,
  isEmptySnapshot,
  isLocalTarget,
  localAppendThread,
  type Message,
  MessageType,
  type NodeId,
  noLimit,
  noMessages,
  type Snapshot,
} from "../types.js";
import { parseChanges } from "./changes.js";
import { argumentValues, type Command } from "./script.js";

const levels = ["DEBUG", "INFO", "WARN", "ERROR", "FATAL", "NONE"] as const;
const levelNone = levels.indexOf("NONE");
const electionTick = 3;

/** A command that cannot be carried out; its text is part of the output. */
class CommandError extends Error {}

/** A log that remembers the state machine's state after every entry, and offers the latest as the snapshot. */
class ScriptStorage extends MemoryStorage {
  readonly history: Snapshot[];

  constructor(first: Snapshot) {
    super();
    this.history = [first];
  }

  get latest(): Snapshot {
    return this.history.at(-1) ?? emptySnapshot;
  }

  override snapshot(): Snapshot {
    return this.latest;
  }

  /** The state machine is durable, so that a restarted node goes on with its configuration. */
  override initialState(): ReturnType<MemoryStorage["initialState"]> {
    return { ...super.initialState(), confState: this.latest.metadata.confState };
  }
}

interface ScriptNode {
  readonly id: NodeId;
  readonly rawNode: RawNode;
  readonly storage: ScriptStorage;
  readonly async: boolean;
  readonly appendWork: Message[];
  readonly applyWork: Message[];
}

/** What a command prints. */
class Output {
  level = 0;
  text = "";

  /** Prints text; at level NONE nothing is printed. */
  write(text: string): void {
    if (this.level !== levelNone) this.text += text;
  }

  log(level: number, line: string): void {
    if (this.level <= level) this.write(`${levels[level]} ${line}\n`);
  }

  /** Prints what `body` prints with every line indented. */
  indented(body: () => void): void {
    const before = this.text;
    this.text = "";
    body();
    const lines = this.text.split("\n");
    if (lines.at(-1) === "") lines.pop();
    this.text = before + lines.map((line) => `  ${line}\n`).join("");
  }
}

/** One script's group. */
export class InteractionEnvironment {
  readonly #output = new Output();
  readonly #nodes: ScriptNode[] = [];
  /** On the way, in the order of sending. */
  #messages: Message[] = [];

  /** Runs one command and returns its output. */
  handle(command: Command): string {
    this.#output.text = "";
    let failure = "";
    try {
      this.#run(command);
    } catch (error) {
      if (error instanceof CommandError) failure = error.message;
      else if (error instanceof RaftError) failure = `FATAL ${error.message}`;
      else throw error;
    }
    return this.#output.text + failure || "ok";
  }

  #run(command: Command): void {
    const { name } = command;
    switch (name) {
      case "_breakpoint":
        return;
      case "add-nodes":
        return this.#addNodes(command);
      case "campaign":
        return this.#node(command).rawNode.campaign();
      case "compact":
        return this.#compact(command);
      case "deliver-msgs":
        return this.#deliverMessages(command);
      case "forget-leader":
        return this.#node(command).rawNode.forgetLeader();
      case "forget-log":
        return this.#forgetLog(command);
      case "log-level":
        this.#output.level = parseLevel(command.args[0]?.key ?? "");
        return;
      case "process-append-thread":
        return this.#each(command, "processing append thread", (node) => this.#processAppendThread(node));
      case "process-apply-thread":
        return this.#each(command, "processing apply thread", (node) => this.#processApplyThread(node));
      case "process-ready":
        return this.#each(command, "handling Ready", (node) => this.#processReady(node));
      case "propose":
        return accept(this.#node(command).rawNode.propose(toBytes(command.args[1]?.key ?? "")));
      case "propose-conf-change":
        return this.#proposeConfChange(command);
      case "raft-log":
        return this.#raftLog(this.#node(command));
      case "raft-state":
        return this.#raftState();
      case "read-index":
        return this.#node(command).rawNode.readIndex(toBytes(command.args[1]?.key ?? ""));
      case "report-snapshot":
        return this.#reportSnapshot(command);
      case "report-unreachable":
        return this.#reportUnreachable(command);
      case "restart":
        return this.#restart(command);
      case "send-snapshot":
        return this.#sendSnapshot(command);
      case "set-randomized-election-timeout":
        return this.#node(command).rawNode.setElectionTimeout(Number(argumentValues(command, "timeout")?.[0]));
      case "stabilize":
        return this.#stabilize(command);
      case "status":
        return this.#output.write(describeProgressList(this.#node(command).rawNode.status().progress));
      case "tick-election":
        return this.#tick(command, electionTick);
      case "tick-heartbeat":
        return this.#tick(command, 1);
      case "transfer-leadership":
        return this.#transferLeadership(command);
      default:
        throw new CommandError("unknown command");
    }
  }

  // ---- Nodes --------------------------------------------------------------------------------------------------------

  #nodeOf(id: string): ScriptNode {
    const node = this.#nodes[Number(id) - 1];
    if (node === undefined) throw new CommandError(`no node ${id}`);
    return node;
  }

  /** The node that the first argument names. */
  #node(command: Command): ScriptNode {
    return this.#nodeOf(command.args[0]?.key ?? "");
  }

  /** The nodes that the bare arguments name. */
  #namedNodes(command: Command): ScriptNode[] {
    return command.args.filter((arg) => arg.values.length === 0).map((arg) => this.#nodeOf(arg.key));
  }

  #addNodes(command: Command): void {
    const { snapshot, config } = parseNodeOptions(command);
    const isBootstrapped = snapshot !== emptySnapshot;
    const count = Number(command.args[0]?.key);
    for (let i = 0; i < count; i++) {
      if (isBootstrapped && snapshot.metadata.index <= 1) {
        throw new CommandError("index must be specified as > 1 due to bootstrap");
      }
      const storage = new ScriptStorage(snapshot);
      if (isBootstrapped) storage.applySnapshot(snapshot);
      this.#startNode(BigInt(this.#nodes.length + 1), storage, config);
    }
  }

  #startNode(id: NodeId, storage: ScriptStorage, config: Omit<Config, "id" | "storage" | "logger" | "random">): void {
    const logger: Logger = {
      debug: (line) => this.#output.log(0, line),
      info: (line) => this.#output.log(1, line),
      warning: (line) => this.#output.log(2, line),
      error: (line) => this.#output.log(3, line),
    };
    // Timeouts are drawn, but in scripts nothing depends on which: they tick whole timeouts, or set one.
    let draws = 0;
    const random = (bound: number) => draws++ % bound;
    const rawNode = new RawNode({ ...config, id, storage, logger, random });
    const async = config.asyncStorageWrites ?? false;
    this.#nodes[Number(id) - 1] = { id, rawNode, storage, async, appendWork: [], applyWork: [] };
  }

  /** `restart ID [options of add-nodes]`: a crash that loses everything but the storage. */
  #restart(command: Command): void {
    const { id, storage } = this.#node(command);
    const { config } = parseNodeOptions(command);
    this.#startNode(id, storage, { ...config, applied: storage.latest.metadata.index });
  }

  /** `forget-log ID [options of add-nodes]`: the node comes back without its storage, which Raft does not allow. */
  #forgetLog(command: Command): void {
    const { id, storage } = this.#node(command);
    const [founding] = storage.history;
    const empty = new ScriptStorage(founding ?? emptySnapshot);
    if (founding !== undefined) empty.applySnapshot(founding);
    this.#startNode(id, empty, parseNodeOptions(command).config);
  }

  #compact(command: Command): void {
    const node = this.#node(command);
    const refusal = node.storage.compact(Number(command.args[1]?.key));
    if (refusal !== undefined) throw new CommandError(storageRefusalText[refusal]);
    this.#raftLog(node);
  }

  #tick(command: Command, count: number): void {
    const { rawNode } = this.#node(command);
    for (let i = 0; i < count; i++) rawNode.tick();
  }

  #raftLog({ storage }: ScriptNode): void {
    const first = storage.firstIndex();
    const last = storage.lastIndex();
    if (last < first) {
      this.#output.write(`log is empty: first index=${first}, last index=${last}`);
      return;
    }
    const entries = storage.entries(first, last + 1, noLimit);
    if (!Array.isArray(entries)) throw new CommandError(storageRefusalText[entries]);
    this.#output.write(describeEntries(entries));
  }

  #raftState(): void {
    for (const { id, rawNode } of this.#nodes) {
      const { softState, hardState, confState } = rawNode.status();
      const isVoter = confState.voters.includes(id) || confState.votersOutgoing.includes(id);
      this.#output.write(
        `${id}: ${describeState(softState.raftState)} (${isVoter ? "Voter" : "Non-Voter"}) ` +
          `Term:${hardState.term} Lead:${softState.lead}\n`,
      );
    }
  }

  // ---- Requests -----------------------------------------------------------------------------------------------------

  #proposeConfChange(command: Command): void {
    const { rawNode } = this.#node(command);
    const changes = parseChanges(command.input);
    if (typeof changes === "string") throw new CommandError(changes);
    const transitionText = argumentValues(command, "transition")?.[0];
    const transition = parseTransition(transitionText ?? "auto");
    if (argumentValues(command, "v1")?.[0] !== "true") {
      return accept(rawNode.proposeConfChange({ transition, changes, context: undefined }));
    }
    const [change] = changes;
    if (changes.length > 1 || change === undefined || transitionText !== undefined) {
      throw new CommandError("v1 conf change can only have one operation and no transition");
    }
    accept(rawNode.proposeConfChange({ id: 0n, ...change, context: undefined }));
  }

  #transferLeadership(command: Command): void {
    const [from] = argumentValues(command, "from") ?? [];
    const [to] = argumentValues(command, "to") ?? [];
    this.#nodeOf(from ?? "").rawNode.transferLeader(BigInt(to ?? 0));
  }

  #reportUnreachable(command: Command): void {
    const [node, peer] = command.args;
    if (node === undefined || peer === undefined || command.args.length !== 2) {
      throw new CommandError("must specify exactly two node indexes: node on which to report, and reported node");
    }
    this.#nodeOf(node.key).rawNode.reportUnreachable(BigInt(peer.key));
  }

  /** `report-snapshot NODE PEER finish|failure`. */
  #reportSnapshot(command: Command): void {
    const [node, peer, outcome] = command.args.map((arg) => arg.key);
    if (outcome !== "finish" && outcome !== "failure") throw new CommandError("the outcome is finish or failure");
    this.#nodeOf(node ?? "").rawNode.reportSnapshot(BigInt(peer ?? 0), outcome);
  }

  #sendSnapshot(command: Command): void {
    const from = this.#node(command);
    const to = this.#nodeOf(command.args[1]?.key ?? "");
    const message = createMessage({
      type: MessageType.snap,
      term: from.rawNode.basicStatus().hardState.term,
      from: from.id,
      to: to.id,
      snapshot: from.storage.latest,
    });
    this.#messages.push(message);
    this.#output.write(describeMessage(message));
  }

  // ---- Network ------------------------------------------------------------------------------------------------------

  #deliverMessages(command: Command): void {
    const recipients: { readonly id: NodeId; readonly drop: boolean }[] = [];
    let type: MessageType | undefined;
    for (const { key, values } of command.args) {
      if (key === "drop") recipients.push(...values.map((id) => ({ id: BigInt(id), drop: true })));
      else if (key === "type") type = parseMessageType(values[0] ?? "");
      else recipients.push({ id: BigInt(key), drop: false });
    }
    let count = 0;
    for (const { id, drop } of recipients) count += this.#deliverTo(id, { drop, type });
    if (count === 0) this.#output.write("no messages\n");
  }

  /** Takes what is addressed to `id` from the network; local messages cannot get lost. */
  #take(id: NodeId, drop: boolean, type: MessageType | undefined): Message[] {
    const isTaken = (message: Message) =>
      message.to === id && !(drop && isLocal(message)) && (type === undefined || message.type === type);
    const taken = this.#messages.filter(isTaken);
    this.#messages = this.#messages.filter((message) => !isTaken(message));
    return taken;
  }

  #deliverTo(id: NodeId, options: { readonly drop: boolean; readonly type: MessageType | undefined }): number {
    const messages = this.#take(id, options.drop, options.type);
    for (const message of messages) {
      this.#output.write(`${options.drop ? "dropped: " : ""}${describeMessage(message)}\n`);
      if (options.drop) continue;
      const refusal = this.#nodeOf(String(id)).rawNode.step(message);
      if (refusal !== undefined) this.#output.write(`${refusal.message}\n`);
    }
    return messages.length;
  }

  // ---- Work of the nodes --------------------------------------------------------------------------------------------

  /** Does something for every named node, with a heading if there are several. */
  #each(command: Command, heading: string, work: (node: ScriptNode) => void): void {
    const nodes = this.#namedNodes(command);
    for (const node of nodes) {
      if (nodes.length === 1) {
        work(node);
        continue;
      }
      this.#output.write(`> ${node.id} ${heading}\n`);
      this.#output.indented(() => work(node));
    }
  }

  #processReady(node: ScriptNode): void {
    const ready = node.rawNode.ready();
    this.#output.write(describeReady(ready));
    if (!node.async) {
      const { hardState, entries, snapshot } = ready;
      persist(node, createMessage({ type: MessageType.storageAppend, ...hardState, entries, snapshot }));
      apply(node, ready.committedEntries);
    }
    for (const message of ready.messages) {
      if (!isLocalTarget(message.to)) this.#messages.push(message);
      else if (message.to === localAppendThread) node.appendWork.push(message);
      else node.applyWork.push(message);
    }
    if (!node.async) node.rawNode.advance();
  }

  #processAppendThread(node: ScriptNode): void {
    const work = node.appendWork.shift();
    if (work === undefined) this.#output.write("no append work to perform");
    else this.#processWork(work, () => persist(node, work));
  }

  #processApplyThread(node: ScriptNode): void {
    const work = node.applyWork.shift();
    if (work === undefined) this.#output.write("no apply work to perform");
    else this.#processWork(work, () => apply(node, work.entries));
  }

  #processWork(work: Message, perform: () => void): void {
    this.#output.write(`Processing:\n${describeMessage({ ...work, responses: noMessages })}\n`);
    perform();
    this.#output.write("Responses:\n");
    for (const response of work.responses) {
      this.#output.write(`${describeMessage(response)}\n`);
      this.#messages.push(response);
    }
  }

  /** Lets the nodes work until nothing is left to do. */
  #stabilize(command: Command): void {
    const named = this.#namedNodes(command);
    const nodes = named.length > 0 ? named : this.#nodes;
    const previous = this.#output.level;
    const level = argumentValues(command, "log-level")?.[0];
    if (level !== undefined) this.#output.level = parseLevel(level);
    while (this.#stabilizeOnce(nodes));
    this.#output.level = previous;
  }

  #stabilizeOnce(nodes: readonly ScriptNode[]): boolean {
    let worked = false;
    const section = (node: ScriptNode, heading: string, work: () => void) => {
      worked = true;
      this.#output.write(`> ${node.id} ${heading}\n`);
      this.#output.indented(work);
    };
    for (const node of nodes) {
      if (node.rawNode.hasReady()) section(node, "handling Ready", () => this.#processReady(node));
    }
    for (const node of nodes) {
      if (!this.#messages.some((message) => message.to === node.id)) continue;
      section(node, "receiving messages", () => this.#deliverTo(node.id, { drop: false, type: undefined }));
    }
    for (const node of nodes) {
      if (node.appendWork.length === 0) continue;
      section(node, "processing append thread", () => {
        while (node.appendWork.length > 0) this.#processAppendThread(node);
      });
    }
    for (const node of nodes) {
      if (node.applyWork.length === 0) continue;
      section(node, "processing apply thread", () => {
        while (node.applyWork.length > 0) this.#processApplyThread(node);
      });
    }
    return worked;
  }
}

function accept(refusal: Refusal | undefined): void {
  if (refusal !== undefined) throw new CommandError(refusal.message);
}

function isLocal({ from, to }: Message): boolean {
  return from === to || isLocalTarget(from) || isLocalTarget(to);
}

/** Does the work of an append thread. */
function persist({ storage }: ScriptNode, { term, vote, commit, entries, snapshot }: Message): void {
  const hardState = { term, vote, commit };
  if (!isEmptyHardState(hardState)) storage.setHardState(hardState);
  if (snapshot !== undefined && !isEmptySnapshot(snapshot)) {
    if (entries.length > 0) throw new CommandError("can't apply snapshot and entries at the same time");
    const refusal = storage.applySnapshot(snapshot);
    if (refusal !== undefined) throw new CommandError(storageRefusalText[refusal]);
    return;
  }
  storage.append(entries);
}

/** Does the work of an apply thread: the state machine's state is all data that was ever applied. */
function apply({ storage, rawNode }: ScriptNode, entries: readonly Entry[]): void {
  for (const entry of entries) {
    const change = entryConfChange(entry);
    const update = change === undefined ? entry.data : toConfChangeV2(change).context;
    const { data, metadata } = storage.latest;
    const confState = change === undefined ? metadata.confState : rawNode.applyConfChange(change, entry.index);
    storage.history.push({
      data: Uint8Array.from([...(data ?? []), ...(update ?? [])]),
      metadata: { index: entry.index, term: entry.term, confState },
    });
  }
}

function toBytes(text: string): Uint8Array {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

function parseLevel(name: string): number {
  const level = levels.indexOf(name.toUpperCase() as (typeof levels)[number]);
  if (level < 0) throw new CommandError(`log levels must be either of [${levels.join(" ")}]`);
  return level;
}

function parseMessageType(name: string): MessageType {
  const type = messageTypeOf(name);
  if (type === undefined) throw new CommandError(`unknown message type ${name}`);
  return type;
}

function parseTransition(name: string): ConfChangeTransition {
  switch (name) {
    case "auto":
      return ConfChangeTransition.auto;
    case "implicit":
      return ConfChangeTransition.jointImplicit;
    case "explicit":
      return ConfChangeTransition.jointExplicit;
    default:
      throw new CommandError(`unknown transition ${name}`);
  }
}

/** The options of `add-nodes`: what the nodes start from, and how they are configured. */
function parseNodeOptions(command: Command): {
  readonly snapshot: Snapshot;
  readonly config: Omit<Config, "id" | "storage" | "logger" | "random">;
} {
  const value = (key: string) => argumentValues(command, key)?.[0];
  const flag = (key: string) => value(key) === "true";
  const ids = (key: string) => (argumentValues(command, key) ?? []).map(BigInt);
  const index = Number(value("index") ?? 0);
  const content = value("content");
  const confState: ConfState = { ...emptyConfState, voters: ids("voters"), learners: ids("learners") };
  const hasSnapshot = ["voters", "learners", "index", "content"].some((key) => argumentValues(command, key));
  const snapshot = hasSnapshot
    ? { data: content === undefined ? undefined : toBytes(content), metadata: { confState, index, term: 1 } }
    : emptySnapshot;
  return {
    snapshot,
    config: {
      electionTick,
      heartbeatTick: 1,
      applied: index,
      maxSizePerMessage: Number(value("max-size-per-msg") ?? noLimit),
      maxInflightMessages: Number(value("inflight") ?? 2 ** 31 - 1),
      maxInflightBytes: Number(value("inflight-bytes") ?? 0),
      maxCommittedSizePerReady: Number(value("max-committed-size-per-ready") ?? 0),
      maxUncommittedEntriesSize: Number(value("max-uncommitted-size") ?? 0),
      asyncStorageWrites: flag("async-storage-writes"),
      preVote: flag("prevote"),
      checkQuorum: flag("checkquorum"),
      disableConfChangeValidation: flag("disable-conf-change-validation"),
      disableProposalForwarding: flag("disable-proposal-forwarding"),
      stepDownOnRemoval: flag("step-down-on-removal"),
      readOnlyOption: (value("read-only") ?? "safe") as ReadOnlyOption,
    },
  };
}
