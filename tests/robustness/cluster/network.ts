/**
 * A network of hosts on this machine: each is a network namespace with an address of its own, all are joined by a
 * bridge, and this process reaches them all. What one host sends to another can be dropped in the kernel, packet by
 * packet, all or a share: unlike bytes that a proxy holds back, they are lost, and TCP has to notice.
 *
 * Needs Linux, root, `ip` and `tc`; `create` throws with their words where it may not.
 */

import { execFileSync } from "node:child_process";

export interface Host {
  /** Of its namespace. */
  readonly name: string;
  /** IPv4. */
  readonly address: string;
  /** What a command is put behind to run on this host. */
  readonly command: readonly string[];
}

interface Rule {
  readonly to: Host;
  /** Of the packets that are dropped, in (0, 1]. */
  readonly share: number;
}

const hostsMax = 200;

export class Network {
  readonly #id = process.pid.toString(36);
  /** Of the range for such tests, which nobody else routes. Source: RFC 2544. */
  readonly #prefix = `198.${18 + ((process.pid >> 8) & 1)}.${process.pid & 0xff}`;
  readonly #hosts: Host[] = [];
  /** This machine's ends of the hosts' links. */
  readonly #links: string[] = [];
  readonly #rules: Map<Host, Rule[]> = new Map();
  readonly #close = (): void => this.close();
  #isOpen = true;

  static create(): Network {
    const network = new Network();
    network.#open();
    return network;
  }

  addHost(): Host {
    const number = this.#hosts.length + 1;
    if (number > hostsMax) throw new Error(`a network has at most ${hostsMax} hosts`);
    const name = `etcd-${this.#id}-${number}`;
    const host = { name, address: `${this.#prefix}.${number}`, command: ["ip", "netns", "exec", name] };
    const link = `et${this.#id}-${number}`;
    ip("netns", "add", name);
    this.#hosts.push(host);
    ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name);
    this.#links.push(link);
    ip("link", "set", link, "master", this.#bridge, "up");
    ip("-n", name, "address", "add", `${host.address}/24`, "dev", "eth0");
    ip("-n", name, "link", "set", "eth0", "up");
    ip("-n", name, "link", "set", "lo", "up");
    run("tc", "-n", name, "qdisc", "add", "dev", "eth0", "clsact");
    return host;
  }

  /** Drops a share of the packets from one host to another, from now on until `heal`. */
  drop(from: Host, to: Host, share = 1): void {
    const rules = [...(this.#rules.get(from) ?? []).filter((rule) => rule.to !== to), { to, share }];
    this.#rules.set(from, rules);
    const program = ["bpf", "direct-action", "bytecode", bytecode(rules)];
    run("tc", "-n", from.name, "filter", "replace", "dev", "eth0", ...place, ...program);
  }

  /** Every packet arrives again. */
  heal(): void {
    for (const { name } of this.#rules.keys()) run("tc", "-n", name, "filter", "del", "dev", "eth0", ...place);
    this.#rules.clear();
  }

  /** Removes the hosts; what runs on them should have ended. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    process.removeListener("exit", this.#close);
    // Of a namespace the kernel takes them down later, perhaps after the next network wants their names.
    for (const link of this.#links.splice(0)) ip("link", "del", link);
    for (const { name } of this.#hosts.splice(0)) ip("netns", "del", name);
    ip("link", "del", this.#bridge);
  }

  get #bridge(): string {
    return `et${this.#id}`;
  }

  #open(): void {
    ip("link", "add", this.#bridge, "type", "bridge");
    process.once("exit", this.#close);
    ip("address", "add", `${this.#prefix}.254/24`, "dev", this.#bridge);
    ip("link", "set", this.#bridge, "up");
  }
}

/** Of the only filter of a host. */
const place = ["egress", "protocol", "ip", "prio", "1"];

/** Instructions of the classic packet filter. Source: Linux Documentation/networking/filter.rst. */
const load = (offset: number): string => `32 0 0 ${offset}`;
const skipUnlessEqual = (value: number, count: number): string => `21 0 ${count} ${value}`;
const skipUnlessAbove = (value: number, count: number): string => `37 0 ${count} ${value}`;
const pass = "6 0 0 0";
/** TC_ACT_SHOT. */
const drop = "6 0 0 2";
/** In an Ethernet frame. */
const destinationOffset = 30;
/** SKF_AD_OFF + SKF_AD_RANDOM: no byte of the packet, but 32 random bits. */
const randomOffset = 2 ** 32 - 0x1000 + 56;

function bytecode(rules: readonly Rule[]): string {
  const program = [load(destinationOffset)];
  for (const { to, share } of rules) {
    const dropping = [load(randomOffset), skipUnlessAbove(Math.round(share * 2 ** 32) - 1, 1), pass, drop];
    program.push(skipUnlessEqual(numberOf(to.address), dropping.length), ...dropping);
  }
  program.push(pass);
  return [program.length, ...program].join();
}

function numberOf(address: string): number {
  return address.split(".").reduce((number, part) => number * 256 + Number(part), 0);
}

function ip(...args: string[]): void {
  run("ip", ...args);
}

function run(program: string, ...args: string[]): void {
  try {
    execFileSync(program, args, { stdio: ["ignore", "ignore", "pipe"] });
  } catch (error) {
    const told = (error as { readonly stderr?: Buffer }).stderr?.toString().trim();
    throw new Error(`cannot make a network of its own: ${[program, ...args].join(" ")}: ${told || String(error)}`);
  }
}
