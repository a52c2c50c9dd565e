/**
 * A TCP proxy in front of one member's peer port. Its URL is what the member advertises, so all that the others send
 * goes through it, and can be held back, by sender and by direction.
 *
 * Who dialled a connection shows in the `X-Server-From` header of the first request that has one; until then, and on
 * connections that carry none (versions, member tables, forwarded leases), the dialler is unknown and every rule
 * applies.
 *
 * Held bytes are not lost: they flow when the rule is lifted, as they do after a partition that TCP outlives.
 */

import { connect, createServer, type Server, type Socket } from "node:net";

/** Which bytes are held. */
export interface Hold {
  /** Dialler's member id in hexadecimal; undefined = all diallers. */
  readonly dialler?: string;
  /** `in` = from the dialler to the member behind the proxy, `out` = the answers. */
  readonly direction: "in" | "out";
}

interface Connection {
  readonly dialler: Socket;
  readonly member: Socket;
  diallerId: string | undefined;
}

const headerPattern = /\r\nx-server-from: *([0-9a-f]+)\r\n/i;

export class PeerLink {
  readonly #server: Server;
  readonly #connections = new Set<Connection>();
  #holds: readonly Hold[] = [];

  private constructor(targetPort: number) {
    this.#server = createServer((dialler) => this.#join(dialler, targetPort));
  }

  static async start(targetPort: number): Promise<PeerLink> {
    const link = new PeerLink(targetPort);
    await new Promise<void>((resolve) => link.#server.listen(0, "127.0.0.1", resolve));
    return link;
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("a TCP server has no port");
    return `http://127.0.0.1:${address.port}`;
  }

  /** Replaces the rules; none = everything flows. */
  hold(...holds: readonly Hold[]): void {
    this.#holds = holds;
    for (const connection of this.#connections) this.#apply(connection);
  }

  /** Resets every connection; new ones are accepted at once. */
  cut(): void {
    for (const { dialler, member } of this.#connections) {
      dialler.resetAndDestroy();
      member.resetAndDestroy();
    }
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.cut();
    await closed;
  }

  #join(dialler: Socket, targetPort: number): void {
    const member = connect({ port: targetPort, host: "127.0.0.1", noDelay: true });
    dialler.setNoDelay(true);
    const connection: Connection = { dialler, member, diallerId: undefined };
    this.#connections.add(connection);
    dialler.on("data", (bytes: Buffer) => {
      if (connection.diallerId === undefined) this.#identify(connection, bytes);
      if (!member.write(bytes)) dialler.pause();
    });
    member.on("data", (bytes: Buffer) => {
      if (!dialler.write(bytes)) member.pause();
    });
    member.on("drain", () => this.#apply(connection));
    dialler.on("drain", () => this.#apply(connection));
    for (const [from, to] of [
      [dialler, member],
      [member, dialler],
    ] as const) {
      from.on("error", () => to.destroy());
      from.on("end", () => to.end());
      from.on("close", () => {
        this.#connections.delete(connection);
        to.destroy();
      });
    }
    this.#apply(connection);
  }

  #identify(connection: Connection, bytes: Buffer): void {
    connection.diallerId = headerPattern.exec(bytes.toString("latin1"))?.[1]?.toLowerCase();
    if (connection.diallerId !== undefined) this.#apply(connection);
  }

  #apply(connection: Connection): void {
    const { dialler, member, diallerId } = connection;
    const isHeld = (direction: Hold["direction"]): boolean =>
      this.#holds.some(
        (hold) =>
          hold.direction === direction &&
          (hold.dialler === undefined || diallerId === undefined || hold.dialler === diallerId),
      );
    for (const [direction, from, to] of [
      ["in", dialler, member],
      ["out", member, dialler],
    ] as const) {
      if (isHeld(direction) || to.writableNeedDrain) from.pause();
      else from.resume();
    }
  }
}
