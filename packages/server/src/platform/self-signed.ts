/** The certificates of `--auto-tls` and `--peer-auto-tls`: made at the first start, and used again at the next ones. */

import { createSign, generateKeyPairSync, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { isIP } from "node:net";
import { join, resolve } from "node:path";
import type { MemberUrl } from "@etcd-ts/store";
import type { MemberConfig, TlsFiles } from "../config/member-config.js";
import type { Logger } from "../env.js";
import { selfSignedCertificate } from "../tls/self-signed-certificate.js";

const yearMs = 365 * 24 * 60 * 60 * 1000;
const ownerOnly = 0o700;

/** The configuration with certificates wherever they are to be made here. Source: etcd embed/config.go, ClientSelfCert. */
export function withSelfSigned(config: MemberConfig, logger: Logger): MemberConfig {
  const files = (role: "client" | "peer", given: TlsFiles, urls: readonly MemberUrl[]): TlsFiles => {
    if (!given.autoTls) return given;
    if (given.certFile !== "" || given.keyFile !== "") {
      logger.log("warn", `ignoring ${role} auto TLS since certs given`);
      return given;
    }
    if (given.clientCertAuth || given.trustedCaFile !== "") {
      logger.log("warn", `${role} certificates are not verified with auto TLS`);
    }
    return makeFiles(given, join(config.dataDir, "fixtures", role), urls, config.selfSignedCertValidityYears, logger);
  };
  const clientUrls = [...config.listenClientUrls, ...config.listenClientHttpUrls];
  return {
    ...config,
    clientTls: files("client", config.clientTls, clientUrls),
    peerTls: files("peer", config.peerTls, config.listenPeerUrls),
  };
}

function makeFiles(
  given: TlsFiles,
  directory: string,
  urls: readonly MemberUrl[],
  years: number,
  logger: Logger,
): TlsFiles {
  const certFile = resolve(directory, "cert.pem");
  const keyFile = resolve(directory, "key.pem");
  if (!existsSync(certFile) || !existsSync(keyFile)) {
    mkdirSync(directory, { recursive: true, mode: ownerOnly });
    const now = Date.now();
    const notAfter = now + years * yearMs;
    const date = new Date(notAfter).toISOString();
    logger.log("warn", "automatically generate certificates", { "certificate-validity-bound-not-after": date });
    const { certificate, key } = make(urls, now, notAfter);
    writeFileSync(certFile, certificate, { mode: 0o644 });
    logger.log("info", "created cert file", { path: certFile });
    writeFileSync(keyFile, key, { mode: 0o600 });
    logger.log("info", "created key file", { path: keyFile });
  }
  return {
    ...given,
    ...{ certFile, keyFile, clientCertFile: certFile, clientKeyFile: keyFile, isSelfSigned: true },
    // As etcd: what was said of the other side's certificates does not hold.
    ...{ clientCertAuth: false, trustedCaFile: "", crlFile: "", allowedCommonNames: [], allowedHostnames: [] },
  };
}

function make(
  urls: readonly MemberUrl[],
  notBeforeMs: number,
  notAfterMs: number,
): { readonly certificate: string; readonly key: string } {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-521" });
  const hosts = urls.map(({ host }) => host);
  const facts = {
    serial: randomBytes(16),
    notBeforeMs,
    notAfterMs,
    dnsNames: hosts.filter((host) => isIP(host) === 0),
    ipAddresses: hosts.filter((host) => isIP(host) !== 0).map(addressBytes),
    publicKey: publicKey.export({ type: "spki", format: "der" }),
  };
  const bytes = selfSignedCertificate(facts, (body) => createSign("sha512").update(body).sign(privateKey));
  const base64 = Buffer.from(bytes)
    .toString("base64")
    .replace(/.{64}(?=.)/g, "$&\n");
  return {
    certificate: `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: "sec1", format: "pem" }).toString(),
  };
}

function addressBytes(address: string): Uint8Array {
  if (isIP(address) === 4) return Uint8Array.from(address.split("."), Number);
  // In the form that URLs keep, eight groups of hexadecimal digits with at most one gap.
  const [before = "", after] = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::");
  const groups = (text: string): number[] => (text === "" ? [] : text.split(":").map((group) => parseInt(group, 16)));
  const left = groups(before);
  const right = after === undefined ? [] : groups(after);
  const gap = new Array<number>(8 - left.length - right.length).fill(0);
  return Uint8Array.from([...left, ...gap, ...right].flatMap((group) => [group >> 8, group & 0xff]));
}
