/** Makes keys and the certificates for them. */

import { createSign, generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto";
import { isIP } from "node:net";
import { type CertificateFacts, encodeCertificate, type Sign } from "../tls/certificate.js";

export interface CertificateRequest
  extends Omit<CertificateFacts, "dnsNames" | "ipAddresses" | "publicKey" | "serial"> {
  /** Names and IP addresses it is good for. */
  readonly hosts: readonly string[];
}

export interface IssuedCertificate {
  /** PEM. */
  readonly certificate: string;
  /** PEM, not encrypted. */
  readonly key: string;
  /** 16 bytes. */
  readonly serial: Uint8Array;
  /** Signs with the key. */
  readonly sign: Sign;
}

/** A new key, and a certificate for it that is signed by the issuer's; without one, by itself. */
export function issueCertificate(request: CertificateRequest, issuer?: Sign): IssuedCertificate {
  const { hosts, ...facts } = request;
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-521" });
  const sign = signer(privateKey);
  const serial = randomBytes(16);
  const bytes = encodeCertificate(
    {
      ...facts,
      serial,
      dnsNames: hosts.filter((host) => isIP(host) === 0),
      ipAddresses: hosts.filter((host) => isIP(host) !== 0).map(addressBytes),
      publicKey: publicKey.export({ type: "spki", format: "der" }),
    },
    issuer ?? sign,
  );
  const base64 = Buffer.from(bytes)
    .toString("base64")
    .replace(/.{64}(?=.)/g, "$&\n");
  return {
    certificate: `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: "sec1", format: "pem" }).toString(),
    serial,
    sign,
  };
}

function signer(key: KeyObject): Sign {
  return (bytes) => createSign("sha512").update(bytes).sign(key);
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
