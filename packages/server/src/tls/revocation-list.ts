/**
 * Certificate revocation lists, of which only the serial numbers count, as in etcd: issuer and dates are not looked at.
 */

import { DerReader, derTag, withoutLeadingZeros } from "./der.js";

/**
 * Serial numbers on a list in DER, of version 2 as Go demands, as lower-case hex without leading zeros; undefined for
 * another version. Throws `DerError` when it is no list. Source: RFC 5280 §5.1; etcd
 * client/pkg/transport/listener_tls.go checkCRL.
 */
export function revokedSerials(list: Uint8Array): ReadonlySet<string> | undefined {
  const serials = new Set<string>();
  const certificateList = new DerReader(new DerReader(list).take(derTag.sequence).content);
  const body = new DerReader(certificateList.take(derTag.sequence).content);
  if (body.nextTag() !== derTag.integer || body.take(derTag.integer).content[0] !== 1) return undefined;
  body.take(derTag.sequence);
  body.take(derTag.sequence);
  body.skip(derTag.utcTime, derTag.generalizedTime);
  body.skip(derTag.utcTime, derTag.generalizedTime);
  if (body.nextTag() === derTag.sequence) {
    const revoked = new DerReader(body.take(derTag.sequence).content);
    while (revoked.nextTag() !== undefined) {
      const entry = new DerReader(revoked.take(derTag.sequence).content);
      serials.add(serialText(entry.take(derTag.integer).content));
    }
  }
  return serials;
}

/** A serial number's bytes as lower-case hex without leading zeros. */
export function serialText(bigEndian: Uint8Array): string {
  return Array.from(withoutLeadingZeros(bigEndian), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
