/** A self-signed certificate for localhost, made once per test run: keys are not kept in the repository. */

// Only here does this package reach for the server, which knows how to write certificates.
import { issueCertificate } from "../../../server/src/platform/issue-certificate.js";

export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

const dayMs = 24 * 60 * 60 * 1000;
let made: Certificate | undefined;

export function testCertificate(): Certificate {
  if (made !== undefined) return made;
  const { certificate, key } = issueCertificate({
    ...{ issuer: { commonName: "localhost" }, subject: { commonName: "localhost" } },
    ...{ notBeforeMs: Date.now() - dayMs, notAfterMs: Date.now() + dayMs },
    ...{ hosts: ["localhost", "127.0.0.1"], isAuthority: true, keyUsages: [], roles: [] },
  });
  made = { key, cert: certificate };
  return made;
}
