/** A throw-away certificate authority, made by openssl, with the certificates it signs. */

import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { CertificateFiles } from "./member.js";

const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

export class Authority {
  readonly #directory: string;
  readonly #name: string;

  /** Writes its files, and those of what it signs, into `directory`. */
  constructor(directory: string, name: string) {
    this.#directory = directory;
    this.#name = name;
    this.#openssl(
      ...["req", "-x509", ...newKey, "-days", "2", "-subj", `/CN=${name}`],
      ...["-keyout", this.#file(`${name}.key`), "-out", this.certificate],
    );
  }

  /** Path of its own certificate. */
  get certificate(): string {
    return this.#file(`${this.#name}.crt`);
  }

  /** A certificate for both roles; its common name is `name`. `alternatives` as openssl writes subjectAltName; "" = none. */
  sign(name: string, alternatives = "IP:127.0.0.1"): CertificateFiles {
    const request = this.#file(`${name}.csr`);
    const extensions = this.#file(`${name}.ext`);
    const files = { certificate: this.#file(`${name}.crt`), key: this.#file(`${name}.key`) };
    const subjectAltName = alternatives === "" ? "" : `subjectAltName=${alternatives}\n`;
    writeFileSync(extensions, `${subjectAltName}extendedKeyUsage=serverAuth,clientAuth\n`);
    this.#openssl("req", "-new", ...newKey, "-subj", `/CN=${name}`, "-keyout", files.key, "-out", request);
    this.#openssl(
      ...["x509", "-req", "-in", request, "-days", "2", "-extfile", extensions, "-out", files.certificate],
      ...["-CA", this.certificate, "-CAkey", this.#file(`${this.#name}.key`), "-CAcreateserial"],
    );
    return files;
  }

  /** Path of a list, in DER, that revokes these certificates. */
  revoke(...certificates: readonly CertificateFiles[]): string {
    const list = this.#file(`${this.#name}.crl`);
    const database = this.#file(`${this.#name}.index`);
    const configuration = this.#file(`${this.#name}.cnf`);
    const rows = certificates.map(({ certificate }) => {
      const serial = this.#openssl("x509", "-in", certificate, "-noout", "-serial").split("=")[1]?.trim();
      return `R\t401231235959Z\t240101000000Z\t${serial}\tunknown\t/CN=revoked\n`;
    });
    writeFileSync(database, rows.join(""));
    writeFileSync(
      configuration,
      [
        ...["[ca]", "default_ca=own", "[own]", `database=${database}`, "default_md=sha256", "default_crl_days=2"],
        ...["crl_extensions=extensions", "[extensions]", "authorityKeyIdentifier=keyid", ""],
      ].join("\n"),
    );
    this.#openssl(
      ...["ca", "-config", configuration, "-gencrl", "-out", `${list}.pem`],
      ...["-keyfile", this.#file(`${this.#name}.key`), "-cert", this.certificate],
    );
    this.#openssl("crl", "-in", `${list}.pem`, "-outform", "DER", "-out", list);
    return list;
  }

  #file(name: string): string {
    return join(this.#directory, name);
  }

  #openssl(...args: readonly string[]): string {
    return execFileSync("openssl", args, { stdio: "pipe", encoding: "utf8" });
  }
}

/** What Node's TLS takes. */
export function shown(files: CertificateFiles | undefined): { readonly cert?: Buffer; readonly key?: Buffer } {
  return files === undefined ? {} : { cert: readFileSync(files.certificate), key: readFileSync(files.key) };
}
