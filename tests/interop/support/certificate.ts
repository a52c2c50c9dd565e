/** A throw-away server certificate for 127.0.0.1, made by openssl. It is its own authority. */

import { execFileSync } from "node:child_process";
import { join } from "node:path";
import type { CertificateFiles } from "./member.js";

/** Writes the files into `directory`. */
export function makeCertificate(directory: string): CertificateFiles {
  const files = { certificate: join(directory, "server.crt"), key: join(directory, "server.key") };
  execFileSync(
    "openssl",
    [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"],
      ...["-subj", "/CN=etcd-ts test", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"],
      ...["-keyout", files.key, "-out", files.certificate],
    ],
    { stdio: "pipe" },
  );
  return files;
}
