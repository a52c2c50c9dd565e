/** Which certificates a member takes, and what it says of the others: ours and Go's side by side. */

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { Cluster } from "../robustness/cluster/cluster.js";
import { Authority, shown } from "./support/authority.js";
import { type CertificateFiles, Member } from "./support/member.js";
import { freePort } from "./support/ports.js";

const root = new URL("../..", import.meta.url).pathname;
const kinds = {
  ours: [process.execPath, join(root, "bin/etcd")],
  go: [join(root, "tests/interop/bin/server")],
} as const;

const directory = mkdtempSync(join(tmpdir(), "etcd-tls-rules-"));
const authority = new Authority(directory, "authority");
const stranger = new Authority(directory, "stranger");
const good = authority.sign("good", ["127.0.0.1", "good.example"]);
const anonymous = authority.sign("anonymous", []);
const elsewhere = authority.sign("elsewhere", ["10.1.2.3"]);
const unknownHost = authority.sign("unknown-host", ["no-such-host.invalid", "*.elsewhere.invalid"]);
const wildcard = authority.sign("wildcard", ["127.0.0.1", "*.example"]);
const revokedOne = authority.sign("revoked", ["127.0.0.1", "good.example"]);
const intruder = stranger.sign("intruder", ["127.0.0.1", "good.example"]);
const revocations = authority.revoke(revokedOne);

afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Whether a request is answered. */
function isAnswered(url: string, certificate: CertificateFiles | undefined, options = {}): Promise<boolean> {
  return new Promise((resolve) => {
    const call = request(
      url,
      { agent: false, rejectUnauthorized: false, timeout: 10_000, ...shown(certificate), ...options },
      (response) => {
        response.resume();
        response.on("end", () => resolve(true));
      },
    );
    call.on("timeout", () => call.destroy());
    call.on("error", () => resolve(false));
    call.end();
  });
}

/** The errors of the lines about rejected connections, in order, without what depends on the machine. */
function rejections(member: Member, endpoint: "client" | "peer"): string[] {
  const lines = readFileSync(member.logFile, "utf8").split("\n");
  return lines
    .filter((line) => line.includes(`rejected connection on ${endpoint} endpoint`))
    .map((line) => (JSON.parse(line) as { readonly error: string }).error)
    .map((error) => error.replace(/ \((?:[A-Z_]+|possibly because .*|lookup .*|\w+ ENOTFOUND .*)\)$/s, ""));
}

interface Case {
  readonly name: string;
  readonly certificate: CertificateFiles | undefined;
  /** Of the log line; undefined = answered. */
  readonly error: string | undefined;
}

const noCertificate: Case = {
  name: "none",
  certificate: undefined,
  error: "tls: client didn't provide a certificate",
};
const untrusted: Case = {
  name: "another authority's",
  certificate: intruder,
  error: "tls: failed to verify certificate: x509: certificate signed by unknown authority",
};
const serial = (): string => {
  const text = readFileSync(revokedOne.certificate, "utf8");
  return new (process.getBuiltinModule("node:crypto").X509Certificate)(text).serialNumber.toLowerCase();
};
const revokedCase: Case = {
  name: "a revoked one",
  certificate: revokedOne,
  error: `transport: certificate serial ${serial()} revoked`,
};
const notAllowed = (name: string, certificate: CertificateFiles): Case => ({
  name,
  certificate,
  error: "client certificate authentication failed",
});
const taken = (name: string, certificate: CertificateFiles): Case => ({ name, certificate, error: undefined });

async function expectCases(
  kind: keyof typeof kinds,
  endpoint: "client" | "peer",
  flags: readonly string[],
  cases: readonly Case[],
): Promise<void> {
  const member = await startOverTls(kind, flags);
  try {
    const url = endpoint === "client" ? `https://127.0.0.1:${member.port}` : member.peerUrl;
    const answered: Record<string, boolean> = {};
    for (const { name, certificate } of cases) answered[name] = await isAnswered(`${url}/version`, certificate);
    expect(answered).toEqual(Object.fromEntries(cases.map(({ name, error }) => [name, error === undefined])));
    const errors = cases.map(({ error }) => error).filter((error) => error !== undefined);
    await expect.poll(() => rejections(member.process, endpoint), { timeout: 10_000 }).toEqual(errors);
  } finally {
    await member.process.close();
  }
}

interface TlsMember {
  readonly process: Member;
  readonly port: number;
  readonly peerUrl: string;
}

/** Has an HTTP port too, by which it is known to be ready. */
async function startOverTls(kind: keyof typeof kinds, flags: readonly string[]): Promise<TlsMember> {
  const [port, plain, peerPort] = [await freePort(), await freePort(), await freePort()];
  const peerUrl = `https://127.0.0.1:${peerPort}`;
  const process = await Member.start({
    name: kind,
    command: kinds[kind],
    clientPort: plain,
    flags: [
      ...["--listen-client-urls", `http://127.0.0.1:${plain},https://127.0.0.1:${port}`],
      ...["--listen-peer-urls", peerUrl, "--initial-advertise-peer-urls", peerUrl],
      ...["--initial-cluster", `${kind}=${peerUrl}`],
      ...flags,
    ],
  });
  return { process, port, peerUrl };
}

const serves = (files: CertificateFiles, prefix: "" | "peer-"): readonly string[] => [
  ...[`--${prefix}cert-file`, files.certificate, `--${prefix}key-file`, files.key],
];
const own = [...serves(good, ""), ...serves(good, "peer-")];

test("a cluster of both kinds whose members make their own certificates", async () => {
  await expectCluster(["--peer-auto-tls"]);
});

test("a cluster of both kinds whose members demand names and unrevoked certificates of each other", async () => {
  await expectCluster([
    ...serves(good, "peer-"),
    ...["--peer-client-cert-auth", "--peer-trusted-ca-file", authority.certificate],
    ...["--peer-crl-file", revocations, "--peer-cert-allowed-cn", "good"],
  ]);
});

async function expectCluster(flags: readonly string[]): Promise<void> {
  const cluster = await Cluster.start({ kinds: ["ours", "go", "ours"], scheme: "https", proxied: false, flags });
  try {
    for (const { client, name } of cluster.members) await client.kv.put(name, "x");
    const hashes = await cluster.hashes();
    expect(new Set(hashes.map(({ hash }) => hash)).size).toBe(1);
  } finally {
    await cluster.close();
  }
}

for (const kind of ["ours", "go"] as const) {
  test(`${kind}: clients' certificates`, async () => {
    const verify = ["--client-cert-auth", "--trusted-ca-file", authority.certificate];
    const rules = ["--client-crl-file", revocations, "--client-cert-allowed-hostname", "x.invalid,good.example"];
    await expectCases(
      kind,
      "client",
      [...own, ...verify, ...rules],
      [
        taken("good", good),
        noCertificate,
        untrusted,
        revokedCase,
        notAllowed("of another host", elsewhere),
        notAllowed("without names", anonymous),
        taken("of all hosts of the domain", wildcard),
      ],
    );
  });

  test(`${kind}: other members' certificates, by common name`, async () => {
    const verify = ["--peer-client-cert-auth", "--peer-trusted-ca-file", authority.certificate];
    const rules = [
      "--peer-crl-file",
      revocations,
      "--peer-cert-allowed-cn",
      "anonymous,good,elsewhere,unknown-host,revoked,intruder",
    ];
    await expectCases(
      kind,
      "peer",
      [...own, ...verify, ...rules],
      [
        taken("good", good),
        noCertificate,
        untrusted,
        revokedCase,
        notAllowed("another name", wildcard),
        taken("without names of hosts", anonymous),
        {
          name: "of another address",
          certificate: elsewhere,
          error: "x509: certificate is valid for 10.1.2.3, not 127.0.0.1",
        },
        {
          name: "of another host",
          certificate: unknownHost,
          error: 'tls: "127.0.0.1" does not match any of DNSNames ["no-such-host.invalid" "*.elsewhere.invalid"]',
        },
      ],
    );
  });

  test(`${kind}: other members' certificates, by host name, wherever they come from`, async () => {
    const verify = ["--peer-client-cert-auth", "--peer-trusted-ca-file", authority.certificate];
    const rules = [
      "--peer-skip-client-san-verification",
      "--peer-cert-allowed-hostname",
      "10.1.2.3,a.elsewhere.invalid,good.example",
    ];
    await expectCases(
      kind,
      "peer",
      [...own, ...verify, ...rules],
      [
        taken("by its name", good),
        taken("by its address", elsewhere),
        taken("by a wildcard", unknownHost),
        notAllowed("without names", anonymous),
      ],
    );
  });

  test(`${kind}: certificates of their own`, async () => {
    const { process, port, peerUrl } = await startOverTls(kind, ["--auto-tls", "--peer-auto-tls"]);
    try {
      expect(await isAnswered(`https://127.0.0.1:${port}/version`, undefined)).toBe(true);
      expect(await isAnswered(`${peerUrl}/version`, undefined)).toBe(true);
      const { X509Certificate } = globalThis.process.getBuiltinModule("node:crypto");
      for (const role of ["client", "peer"]) {
        const file = join(process.dataDirectory, "fixtures", role, "cert.pem");
        const certificate = new X509Certificate(readFileSync(file));
        expect(certificate.verify(certificate.publicKey)).toBe(true);
        expect(certificate).toMatchObject({
          subject: "O=etcd",
          issuer: "O=etcd",
          subjectAltName: role === "client" ? "IP Address:127.0.0.1, IP Address:127.0.0.1" : "IP Address:127.0.0.1",
        });
        const years = (Date.parse(certificate.validTo) - Date.parse(certificate.validFrom)) / 31_536_000_000;
        expect(years).toBeCloseTo(1, 3);
      }
      const made = readFileSync(join(process.dataDirectory, "fixtures/client/cert.pem"), "utf8");
      await process.stop();
      await process.boot();
      expect(readFileSync(join(process.dataDirectory, "fixtures/client/cert.pem"), "utf8")).toBe(made);
    } finally {
      await process.close();
    }
  });

  test(`${kind}: versions and cipher suites`, async () => {
    const suite = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
    const { process, port } = await startOverTls(kind, [...own, "--cipher-suites", suite]);
    try {
      const asks = (options: object): Promise<boolean> =>
        isAnswered(`https://127.0.0.1:${port}/version`, undefined, options);
      expect(await asks({})).toBe(true);
      expect(await asks({ maxVersion: "TLSv1.2", ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256" })).toBe(true);
      expect(await asks({ maxVersion: "TLSv1.2", ciphers: "ECDHE-ECDSA-AES256-GCM-SHA384" })).toBe(false);
      expect(await asks({ minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" })).toBe(false);
    } finally {
      await process.close();
    }
    const newest = await startOverTls(kind, [...own, "--tls-min-version", "TLS1.3"]);
    try {
      const url = `https://127.0.0.1:${newest.port}/version`;
      expect(await isAnswered(url, undefined)).toBe(true);
      expect(await isAnswered(url, undefined, { maxVersion: "TLSv1.2" })).toBe(false);
    } finally {
      await newest.process.close();
    }
  });
}
