/**
 * What a member demands of a certificate that was shown to it, beyond a chain to a trusted authority.
 *
 * Source: etcd client/pkg/transport/listener.go baseConfig, listener_tls.go (checkCertSAN, checkCRL).
 */

import { isIpAddress } from "../config/member-url.js";
import type { Dns } from "../env.js";
import { revokedSerials } from "./revocation-list.js";

/** A certificate, as far as the rules look at it. */
export interface ShownCertificate {
  /** Undefined when the subject has none. */
  readonly commonName: string | undefined;
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  /** Of it and of those that were shown with it: lower-case hex without leading zeros. */
  readonly serials: readonly string[];
  /** Whether it is good for an IP address. */
  hasAddress(address: string): boolean;
}

export interface CertificateRules {
  /** Empty = any. Not both of these two. */
  readonly allowedCommonNames: readonly string[];
  readonly allowedHostnames: readonly string[];
}

/**
 * Whether a certificate is good for a host name or an address. The common name does not count; a `*` stands for the
 * first label, whatever the number of the others. Source: Go crypto/x509/verify.go VerifyHostname.
 */
export function isValidFor(certificate: Pick<ShownCertificate, "dnsNames" | "hasAddress">, host: string): boolean {
  const name = host.replace(/^\[(.*)\]$/, "$1").replace(/\.$/, "");
  if (isIpAddress(name)) return certificate.hasAddress(name);
  const labels = name.toLowerCase().split(".");
  if (labels.includes("")) return false;
  return certificate.dnsNames.some((pattern) => {
    const wanted = pattern.toLowerCase().replace(/\.$/, "").split(".");
    return (
      wanted.length === labels.length &&
      wanted.every((label, i) => label === labels[i] || (label === "*" && i === 0 && labels.length > 1))
    );
  });
}

/** Why a certificate is not one of those allowed; undefined when it is. Asked of clients and of servers. */
export function disallowed(certificate: ShownCertificate, rules: CertificateRules): string | undefined {
  const { allowedCommonNames, allowedHostnames } = rules;
  const byName = allowedCommonNames.length > 0;
  if (!byName && allowedHostnames.length === 0) return undefined;
  const isAllowed = byName
    ? allowedCommonNames.includes(certificate.commonName ?? "")
    : allowedHostnames.some((host) => isValidFor(certificate, host));
  return isAllowed ? undefined : "client certificate authentication failed";
}

/** Why a certificate is revoked, or whether it is cannot be told; undefined when it is not. */
export function revoked(certificate: ShownCertificate, list: Uint8Array): string | undefined {
  let serials: ReadonlySet<string> | undefined;
  try {
    serials = revokedSerials(list);
  } catch {
    return "x509: malformed crl";
  }
  if (serials === undefined) return "x509: unsupported crl version";
  const serial = certificate.serials.find((shown) => serials.has(shown));
  return serial === undefined ? undefined : `transport: certificate serial ${serial} revoked`;
}

/**
 * Why a certificate is not good for the address it comes from; undefined when it is, or when it names neither hosts nor
 * addresses. The name service has its say, both ways.
 */
export async function misplaced(
  certificate: ShownCertificate,
  remoteAddress: string,
  dns: Pick<Dns, "addresses" | "names">,
): Promise<string | undefined> {
  const { dnsNames, ipAddresses } = certificate;
  if (ipAddresses.length > 0) {
    if (certificate.hasAddress(remoteAddress)) return undefined;
    if (dnsNames.length === 0) return `x509: certificate is valid for ${ipAddresses.join(", ")}, not ${remoteAddress}`;
  }
  if (dnsNames.length === 0) return undefined;
  const errors: string[] = [];
  const failed = (error: unknown): readonly string[] => {
    errors.push(error instanceof Error ? error.message : String(error));
    return [];
  };
  const exact = dnsNames.filter((name) => !name.startsWith("*."));
  const suffixes = dnsNames.filter((name) => name.startsWith("*.")).map((name) => name.slice(1));
  for (const found of await dns.names(remoteAddress).catch(failed)) {
    const name = found.replace(/\.$/, "");
    if (exact.includes(name) || suffixes.some((suffix) => name.endsWith(suffix))) return undefined;
  }
  for (const name of exact) {
    if ((await dns.addresses(name).catch(failed)).includes(remoteAddress)) return undefined;
  }
  const why = errors.length === 0 ? "" : ` (${errors.at(-1)})`;
  const names = dnsNames.map((name) => JSON.stringify(name)).join(" ");
  return `tls: ${JSON.stringify(remoteAddress)} does not match any of DNSNames [${names}]${why}`;
}
