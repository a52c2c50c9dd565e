import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { PeerInfo } from "../call.js";

/** Who is at the other end of a socket. */
export function peerOf(socket: Socket): PeerInfo {
  const { remoteAddress, remotePort } = socket;
  // A client of a unix socket has no name; Go calls it so.
  let address = remoteAddress ?? "@";
  if (remotePort !== undefined) address = `${address.includes(":") ? `[${address}]` : address}:${remotePort}`;
  if (!(socket instanceof TLSSocket)) return { address, tls: false, commonName: undefined };
  const certificate = socket.authorized ? socket.getPeerCertificate() : undefined;
  const commonName = certificate?.subject?.CN;
  // Of several the last one counts, as in Go.
  return { address, tls: true, commonName: Array.isArray(commonName) ? commonName.at(-1) : commonName };
}
