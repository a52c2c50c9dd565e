/** TLS of the listeners and of connections to peers, from files that are read again for each connection, so that they can be rotated. */

import { readFileSync } from "node:fs";
import { createSecureContext, type SecureContextOptions, type TlsOptions } from "node:tls";
import type { MemberConfig, TlsFiles, TlsVersion } from "../config/member-config.js";
import type { PeerTls } from "./network.js";

const nodeVersions: Readonly<Record<TlsVersion, "TLSv1.2" | "TLSv1.3">> = { "TLS1.2": "TLSv1.2", "TLS1.3": "TLSv1.3" };

function contextOptions(files: TlsFiles, config: MemberConfig): SecureContextOptions {
  const { tlsMaxVersion } = config;
  return {
    cert: readFileSync(files.certFile),
    key: readFileSync(files.keyFile),
    minVersion: nodeVersions[config.tlsMinVersion],
    ...(tlsMaxVersion === undefined ? {} : { maxVersion: nodeVersions[tlsMaxVersion] }),
    ...(files.trustedCaFile === "" ? {} : { ca: readFileSync(files.trustedCaFile) }),
    ...(files.crlFile === "" ? {} : { crl: readFileSync(files.crlFile) }),
  };
}

/** Throws when a file cannot be read or is no certificate. */
export function serverTls(files: TlsFiles, config: MemberConfig): TlsOptions {
  const verifiesClients = files.clientCertAuth || files.trustedCaFile !== "";
  return {
    ...contextOptions(files, config),
    requestCert: verifiesClients,
    rejectUnauthorized: verifiesClients,
    SNICallback: (_serverName, done) => {
      try {
        done(null, createSecureContext(contextOptions(files, config)));
      } catch (error) {
        done(error instanceof Error ? error : new Error(String(error)));
      }
    },
  };
}

/** Both roles of a member among its peers; undefined when no certificate is configured. */
export function peerTls(config: MemberConfig): PeerTls | undefined {
  const files = config.peerTls;
  if (files.certFile === "") return undefined;
  const shown =
    files.clientCertFile === "" ? files : { ...files, certFile: files.clientCertFile, keyFile: files.clientKeyFile };
  return { server: () => serverTls(files, config), client: () => contextOptions(shown, config) };
}
