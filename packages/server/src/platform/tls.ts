/**
 * TLS of the listeners and of connections to peers, from files that are read again for each connection, so that they
 * can be rotated. Which certificates are taken is for tls/certificate-rules.ts to say.
 */

import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import type { ConnectionOptions, PeerCertificate, SecureContextOptions, TLSSocket, TlsOptions } from "node:tls";
import type { TlsGuard } from "@etcd-ts/grpc";
import type { MemberConfig, TlsFiles, TlsVersion } from "../config/member-config.js";
import type { Env } from "../env.js";
import { disallowed, isValidFor, misplaced, revoked, type ShownCertificate } from "../tls/certificate-rules.js";
import { openSslCiphers } from "../tls/cipher-suites.js";
import { serialText } from "../tls/revocation-list.js";
import type { PeerTls } from "./network.js";

type TlsEnv = Pick<Env, "dns" | "logger">;

const nodeVersions: Readonly<Record<TlsVersion, "TLSv1.2" | "TLSv1.3">> = { "TLS1.2": "TLSv1.2", "TLS1.3": "TLSv1.3" };

function contextOptions(files: TlsFiles, config: MemberConfig): SecureContextOptions {
  const { tlsMaxVersion } = config;
  const ciphers = openSslCiphers(config.cipherSuites);
  return {
    cert: readFileSync(files.certFile),
    key: readFileSync(files.keyFile),
    minVersion: nodeVersions[config.tlsMinVersion],
    ...(tlsMaxVersion === undefined ? {} : { maxVersion: nodeVersions[tlsMaxVersion] }),
    ...(ciphers === undefined ? {} : { ciphers }),
    ...(files.trustedCaFile === "" ? {} : { ca: readFileSync(files.trustedCaFile) }),
  };
}

function verifiesClients(files: TlsFiles): boolean {
  return files.clientCertAuth || files.trustedCaFile !== "";
}

/**
 * Throws when a file cannot be read or is no certificate. Needs the guard: it lets every client finish its handshake.
 */
export function serverTls(files: TlsFiles, config: MemberConfig): TlsOptions {
  return { ...contextOptions(files, config), requestCert: verifiesClients(files), rejectUnauthorized: false };
}

export interface GuardOptions {
  /** In the log. */
  readonly endpoint: "client" | "peer";
  /** Whether a certificate must be good for the address it comes from. */
  readonly checksAddress: boolean;
}

/** Turns away those whose certificate is not taken, and logs why. Source: etcd embed/config_logging.go. */
export function tlsGuard(files: TlsFiles, env: TlsEnv, options: GuardOptions): TlsGuard {
  const reject = (socket: TLSSocket, error: string, level: "debug" | "warn"): void => {
    const certificate = shownBy(socket);
    env.logger.log(level, `rejected connection on ${options.endpoint} endpoint`, {
      "remote-addr": `${socket.remoteAddress ?? ""}:${socket.remotePort ?? ""}`,
      "server-name": typeof socket.servername === "string" ? socket.servername : "",
      ...(certificate && { "ip-addresses": certificate.ipAddresses, "dns-names": certificate.dnsNames }),
      error,
    });
  };
  return {
    async admits(socket) {
      if (!verifiesClients(files)) return true;
      const fault = await refusal(socket, files, env, options).catch(String);
      if (fault !== undefined) reject(socket, fault, "warn");
      return fault === undefined;
    },
    handshakeFailed(error, socket) {
      const isClosed = (error as NodeJS.ErrnoException).code === "ECONNRESET";
      reject(socket, error.message, isClosed ? "debug" : "warn");
    },
  };
}

async function refusal(
  socket: TLSSocket,
  files: TlsFiles,
  env: TlsEnv,
  options: GuardOptions,
): Promise<string | undefined> {
  const certificate = shownBy(socket);
  if (certificate === undefined) return "tls: client didn't provide a certificate";
  if (!socket.authorized) return `tls: failed to verify certificate: ${verificationFault(socket)}`;
  const fault = disallowed(certificate, files);
  if (fault !== undefined) return fault;
  if (options.checksAddress) {
    const fault = await misplaced(certificate, unmapped(socket.remoteAddress ?? ""), env.dns);
    if (fault !== undefined) return fault;
  }
  return files.crlFile === "" ? undefined : revoked(certificate, readFileSync(files.crlFile));
}

function verificationFault(socket: TLSSocket): string {
  // Its type says Error, its value is the code.
  const code = String(socket.authorizationError);
  if (code === "CERT_HAS_EXPIRED" || code === "CERT_NOT_YET_VALID") {
    return "x509: certificate has expired or is not yet valid";
  }
  return `x509: certificate signed by unknown authority (${code})`;
}

/** The IPv4 address in an IPv6 one, for listeners on `::`. */
function unmapped(address: string): string {
  return address.startsWith("::ffff:") && isIP(address.slice(7)) === 4 ? address.slice(7) : address;
}

function shownBy(socket: TLSSocket): ShownCertificate | undefined {
  const leaf = socket.getPeerCertificate(true);
  // Without a certificate the object is empty, or null once the socket is destroyed.
  return leaf?.raw === undefined ? undefined : readCertificate(leaf);
}

function readCertificate(leaf: PeerCertificate): ShownCertificate {
  const certificate = new X509Certificate(leaf.raw);
  const names = [...(certificate.subjectAltName ?? "").matchAll(alternativeName)];
  const { CN: commonName } = leaf.subject as { readonly CN?: string | string[] };
  return {
    commonName: Array.isArray(commonName) ? commonName.at(-1) : commonName,
    dnsNames: names.filter(([, kind]) => kind === "DNS").map(([, , name = ""]) => name),
    ipAddresses: names.filter(([, kind]) => kind === "IP Address").map(([, , name = ""]) => name),
    serials: serialsFrom(leaf),
    hasAddress: (address) => certificate.checkIP(address) !== undefined,
  };
}

/** A name with a comma or a quote in it comes quoted; it is good for no host. */
const alternativeName = /(?:^|, )(DNS|IP Address):("(?:[^"\\]|\\.)*"|[^,]*)/g;

/** The chain, but for the authority at its end: that one comes from our own file. */
function serialsFrom(leaf: PeerCertificate): readonly string[] {
  const serials: string[] = [];
  let shown: PeerCertificate & { readonly issuerCertificate?: PeerCertificate } = leaf;
  while (!serials.includes(shown.serialNumber)) {
    serials.push(shown.serialNumber);
    const issuer = shown.issuerCertificate;
    if (issuer === undefined || issuer.fingerprint256 === shown.fingerprint256 || isSelfIssued(issuer)) break;
    shown = issuer;
  }
  return serials.map((serial) => serialText(Buffer.from(serial.length % 2 === 0 ? serial : `0${serial}`, "hex")));
}

function isSelfIssued({ subject, issuer }: PeerCertificate): boolean {
  return JSON.stringify(subject) === JSON.stringify(issuer);
}

function clientTls(files: TlsFiles, config: MemberConfig): ConnectionOptions {
  const shown =
    files.clientCertFile === "" ? files : { ...files, certFile: files.clientCertFile, keyFile: files.clientKeyFile };
  const context = contextOptions(shown, config);
  // The others' certificates were made as this one was: nobody has signed them.
  if (files.isSelfSigned) return { ...context, rejectUnauthorized: false };
  return {
    ...context,
    ...(files.serverName === "" ? {} : { servername: files.serverName }),
    checkServerIdentity(host, leaf) {
      const certificate = readCertificate(leaf);
      if (!isValidFor(certificate, host)) {
        const names = [...certificate.dnsNames, ...certificate.ipAddresses].join(", ");
        return new Error(`x509: certificate is valid for ${names}, not ${host}`);
      }
      const fault = disallowed(certificate, files);
      return fault === undefined ? undefined : new Error(fault);
    },
  };
}

/** Both roles of a member among its peers; undefined when no certificate is configured. */
export function peerTls(config: MemberConfig, env: TlsEnv): PeerTls | undefined {
  const files = config.peerTls;
  if (files.certFile === "") return undefined;
  return {
    server: () => serverTls(files, config),
    client: () => clientTls(files, config),
    guard: tlsGuard(files, env, { endpoint: "peer", checksAddress: !files.skipClientSanVerification }),
  };
}
