/**
 * X.509 certificates: those that a member makes for itself with `--auto-tls` and `--peer-auto-tls`, and those of tests.
 *
 * Source: etcd client/pkg/transport/listener.go SelfCert; RFC 5280 §4.
 */

import { encodeUtf8 } from "@etcd-ts/api";
import { der, derInteger, derObjectId, derTag } from "./der.js";

/** Who is meant; an absent part is left out. */
export interface DistinguishedName {
  readonly organization?: string;
  readonly commonName?: string;
}

export interface CertificateFacts {
  /** 16 random bytes. */
  readonly serial: Uint8Array;
  readonly issuer: DistinguishedName;
  readonly subject: DistinguishedName;
  /** Milliseconds since the Unix epoch. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Names and IP addresses it is good for. */
  readonly dnsNames: readonly string[];
  /** 4 or 16 bytes each. */
  readonly ipAddresses: readonly Uint8Array[];
  /** Whether it may vouch for other certificates. */
  readonly isAuthority: boolean;
  /** None = any. */
  readonly keyUsages: readonly KeyUsage[];
  /** None = any. */
  readonly roles: readonly TlsRole[];
  /** SubjectPublicKeyInfo of an ECDSA key, in DER. */
  readonly publicKey: Uint8Array;
}

export type KeyUsage = keyof typeof keyUsageBits;
export type TlsRole = keyof typeof roleIds;

/** Bits of the first byte. Source: RFC 5280 §4.2.1.3, which counts them from the left. */
const keyUsageBits = {
  digitalSignature: 0x80,
  keyEncipherment: 0x20,
  certificateSignature: 0x04,
  revocationListSignature: 0x02,
} as const;

const roleIds = { server: "1.3.6.1.5.5.7.3.1", client: "1.3.6.1.5.5.7.3.2" } as const;

/** Signs with ECDSA and SHA-512; the signature is in DER. */
export type Sign = (bytes: Uint8Array) => Uint8Array;

export const ecdsaWithSha512: Uint8Array = der(derTag.sequence, derObjectId("1.2.840.10045.4.3.4"));

/** A certificate in DER. */
export function encodeCertificate(facts: CertificateFacts, sign: Sign): Uint8Array {
  const body = der(
    derTag.sequence,
    der(contextTag(0), derInteger(Uint8Array.of(2))),
    derInteger(facts.serial),
    ecdsaWithSha512,
    derName(facts.issuer),
    der(derTag.sequence, derTime(facts.notBeforeMs), derTime(facts.notAfterMs)),
    derName(facts.subject),
    facts.publicKey,
    der(contextTag(3), der(derTag.sequence, ...extensions(facts))),
  );
  return derSigned(body, sign);
}

/** The body with its signature, as certificates and revocation lists are signed. */
export function derSigned(body: Uint8Array, sign: Sign): Uint8Array {
  return der(derTag.sequence, body, ecdsaWithSha512, der(derTag.bitString, new Uint8Array(1), sign(body)));
}

export function derName({ organization, commonName }: DistinguishedName): Uint8Array {
  return der(
    derTag.sequence,
    ...(organization === undefined ? [] : [nameAttribute("2.5.4.10", organization)]),
    ...(commonName === undefined ? [] : [nameAttribute("2.5.4.3", commonName)]),
  );
}

function nameAttribute(id: string, text: string): Uint8Array {
  return der(derTag.set, der(derTag.sequence, derObjectId(id), der(derTag.utf8String, encodeUtf8(text))));
}

function extensions(facts: CertificateFacts): readonly Uint8Array[] {
  const { keyUsages, roles, isAuthority, dnsNames, ipAddresses } = facts;
  const found: Uint8Array[] = [];
  if (keyUsages.length > 0) {
    const bits = keyUsages.reduce((sum, usage) => sum | keyUsageBits[usage], 0);
    found.push(extension("2.5.29.15", der(derTag.bitString, Uint8Array.of(1, bits)), { isCritical: true }));
  }
  if (roles.length > 0) {
    const ids = roles.map((role) => derObjectId(roleIds[role]));
    found.push(extension("2.5.29.37", der(derTag.sequence, ...ids), { isCritical: false }));
  }
  if (isAuthority) {
    const value = der(derTag.sequence, der(derTag.boolean, Uint8Array.of(0xff)));
    found.push(extension("2.5.29.19", value, { isCritical: true }));
  }
  const names = [
    ...dnsNames.map((dnsName) => der(dnsNameTag, encodeUtf8(dnsName))),
    ...ipAddresses.map((address) => der(ipAddressTag, address)),
  ];
  if (names.length > 0) found.push(extension("2.5.29.17", der(derTag.sequence, ...names), { isCritical: false }));
  return found;
}

function extension(id: string, value: Uint8Array, { isCritical }: { readonly isCritical: boolean }): Uint8Array {
  const critical = isCritical ? [der(derTag.boolean, Uint8Array.of(0xff))] : [];
  return der(derTag.sequence, derObjectId(id), ...critical, der(derTag.octetString, value));
}

const dnsNameTag = 0x82;
const ipAddressTag = 0x87;

function contextTag(number: number): number {
  return 0xa0 | number;
}

/**
 * Milliseconds since the Unix epoch: two digits of the year until 2049, four from then on. Source: RFC 5280 §4.1.2.5.
 */
export function derTime(ms: number): Uint8Array {
  const digits = new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, "");
  const isUtcTime = Number(digits.slice(0, 4)) < 2050;
  return der(isUtcTime ? derTag.utcTime : derTag.generalizedTime, encodeUtf8(isUtcTime ? digits.slice(2) : digits));
}
