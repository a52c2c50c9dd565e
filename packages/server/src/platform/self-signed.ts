/** The certificates of `--auto-tls` and `--peer-auto-tls`: made at the first start, and used again at the next ones. */

import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { MemberUrl } from "@etcd-ts/store";
import type { MemberConfig, TlsFiles } from "../config/member-config.js";
import type { Logger } from "../env.js";
import { issueCertificate } from "./issue-certificate.js";

const yearMs = 365 * 24 * 60 * 60 * 1000;
const ownerOnly = 0o700;

/**
 * The configuration with certificates wherever they are to be made here. Source: etcd embed/config.go, ClientSelfCert.
 */
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
    const { certificate, key } = issueCertificate({
      ...{ issuer: { organization: "etcd" }, subject: { organization: "etcd" } },
      ...{ notBeforeMs: now, notAfterMs: notAfter },
      hosts: urls.map(({ host }) => host),
      isAuthority: true,
      keyUsages: ["digitalSignature", "keyEncipherment", "revocationListSignature"],
      roles: ["server"],
    });
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
