/** A throw-away certificate authority with the certificates it signs. */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  der,
  derInteger,
  derName,
  derSigned,
  derTag,
  derTime,
  ecdsaWithSha512,
  type IssuedCertificate,
  issueCertificate,
} from "@etcd-ts/server/internal";
import type { CertificateFiles } from "./member.js";

const dayMs = 24 * 60 * 60 * 1000;

/** A certificate, and the serial number that a revocation list names it by. */
export interface SignedFiles extends CertificateFiles {
  readonly serial: Uint8Array;
}

export class Authority {
  readonly #directory: string;
  readonly #name: string;
  readonly #own: IssuedCertificate;

  /** Writes its files, and those of what it signs, into `directory`. */
  constructor(directory: string, name: string) {
    this.#directory = directory;
    this.#name = name;
    this.#own = issueCertificate({
      ...{ issuer: { commonName: name }, subject: { commonName: name }, ...validity(), hosts: [], roles: [] },
      ...{ isAuthority: true, keyUsages: ["certificateSignature", "revocationListSignature"] },
    });
    this.#write(name, this.#own);
  }

  /** Path of its own certificate. */
  get certificate(): string {
    return this.#file(`${this.#name}.crt`);
  }

  /** A certificate for both roles; its common name is `name`. It is good for these names and addresses. */
  sign(name: string, hosts: readonly string[] = ["127.0.0.1"]): SignedFiles {
    const issued = issueCertificate(
      {
        ...{ issuer: { commonName: this.#name }, subject: { commonName: name }, ...validity(), hosts },
        ...{ isAuthority: false, keyUsages: [], roles: ["server", "client"] },
      },
      this.#own.sign,
    );
    return { ...this.#write(name, issued), serial: issued.serial };
  }

  /** Path of a list, in DER, that revokes these certificates. Source: RFC 5280 §5.1. */
  revoke(...certificates: readonly SignedFiles[]): string {
    const { notBeforeMs, notAfterMs } = validity();
    const entries = certificates.map(({ serial }) => der(derTag.sequence, derInteger(serial), derTime(notBeforeMs)));
    const body = der(
      derTag.sequence,
      derInteger(Uint8Array.of(1)),
      ecdsaWithSha512,
      derName({ commonName: this.#name }),
      derTime(notBeforeMs),
      derTime(notAfterMs),
      der(derTag.sequence, ...entries),
    );
    const list = this.#file(`${this.#name}.crl`);
    writeFileSync(list, derSigned(body, this.#own.sign));
    return list;
  }

  #write(name: string, { certificate, key }: IssuedCertificate): CertificateFiles {
    const files = { certificate: this.#file(`${name}.crt`), key: this.#file(`${name}.key`) };
    writeFileSync(files.certificate, certificate);
    writeFileSync(files.key, key, { mode: 0o600 });
    return files;
  }

  #file(name: string): string {
    return join(this.#directory, name);
  }
}

function validity(): { readonly notBeforeMs: number; readonly notAfterMs: number } {
  return { notBeforeMs: Date.now() - dayMs, notAfterMs: Date.now() + dayMs };
}

/** What Node's TLS takes. */
export function shown(files: CertificateFiles | undefined): { readonly cert?: Buffer; readonly key?: Buffer } {
  return files === undefined ? {} : { cert: readFileSync(files.certificate), key: readFileSync(files.key) };
}
