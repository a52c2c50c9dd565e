/**
 * The certificate that a member makes for itself with `--auto-tls` and `--peer-auto-tls`.
 *
 * Source: etcd client/pkg/transport/listener.go SelfCert; RFC 5280 §4.
 */

import { encodeUtf8 } from "@etcd-ts/api";
import { der, derInteger, derObjectId, derTag } from "./der.js";

export interface CertificateFacts {
  /** 16 random bytes. */
  readonly serial: Uint8Array;
  /** Milliseconds since the Unix epoch. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Names and IP addresses it is good for. */
  readonly dnsNames: readonly string[];
  /** 4 or 16 bytes each. */
  readonly ipAddresses: readonly Uint8Array[];
  /** SubjectPublicKeyInfo of an ECDSA key, in DER. */
  readonly publicKey: Uint8Array;
}

const ecdsaWithSha512 = der(derTag.sequence, derObjectId("1.2.840.10045.4.3.4"));

/** A certificate in DER. `sign` gives the ECDSA signature with SHA-512 of its argument, in DER. */
export function selfSignedCertificate(facts: CertificateFacts, sign: (bytes: Uint8Array) => Uint8Array): Uint8Array {
  const organization = der(derTag.sequence, derObjectId("2.5.4.10"), der(derTag.utf8String, encodeUtf8("etcd")));
  const name = der(derTag.sequence, der(derTag.set, organization));
  const body = der(
    derTag.sequence,
    der(contextTag(0), derInteger(Uint8Array.of(2))),
    derInteger(facts.serial),
    ecdsaWithSha512,
    name,
    der(derTag.sequence, time(facts.notBeforeMs), time(facts.notAfterMs)),
    name,
    facts.publicKey,
    der(contextTag(3), der(derTag.sequence, ...extensions(facts))),
  );
  return der(derTag.sequence, body, ecdsaWithSha512, bitString(sign(body)));
}

function extensions({ dnsNames, ipAddresses }: CertificateFacts): readonly Uint8Array[] {
  // Bits 0, 2 and 6 from the left: digital signature, key encipherment, signature of revocation lists.
  const keyUsage = der(derTag.bitString, Uint8Array.of(1, 0b10100010));
  const serverAuth = der(derTag.sequence, derObjectId("1.3.6.1.5.5.7.3.1"));
  const isAuthority = der(derTag.sequence, der(derTag.boolean, Uint8Array.of(0xff)));
  const names = [
    ...dnsNames.map((dnsName) => der(dnsNameTag, encodeUtf8(dnsName))),
    ...ipAddresses.map((address) => der(ipAddressTag, address)),
  ];
  return [
    extension("2.5.29.15", keyUsage, { isCritical: true }),
    extension("2.5.29.37", serverAuth, { isCritical: false }),
    extension("2.5.29.19", isAuthority, { isCritical: true }),
    ...(names.length === 0 ? [] : [extension("2.5.29.17", der(derTag.sequence, ...names), { isCritical: false })]),
  ];
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

function bitString(bytes: Uint8Array): Uint8Array {
  return der(derTag.bitString, new Uint8Array(1), bytes);
}

/** Two digits of the year until 2049, four from then on. Source: RFC 5280 §4.1.2.5. */
function time(ms: number): Uint8Array {
  const digits = new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, "");
  const isUtcTime = Number(digits.slice(0, 4)) < 2050;
  return der(isUtcTime ? derTag.utcTime : derTag.generalizedTime, encodeUtf8(isUtcTime ? digits.slice(2) : digits));
}
