import { expect, test } from "vitest";
import { disallowed, isValidFor, misplaced, revoked, type ShownCertificate } from "./certificate-rules.js";
import { der, derInteger, derTag } from "./der.js";

function certificate(facts: Partial<ShownCertificate>): ShownCertificate {
  const { ipAddresses = [] } = facts;
  return {
    commonName: undefined,
    dnsNames: [],
    ipAddresses,
    serials: [],
    hasAddress: (address) => ipAddresses.includes(address),
    ...facts,
  };
}

test("host names are matched as Go matches them", () => {
  const shown = certificate({ dnsNames: ["a.example.com", "*.b.example", "*", "x*.c"], ipAddresses: ["10.0.0.1"] });
  const good = ["a.example.com", "A.Example.Com.", "z.b.example", "10.0.0.1", "[10.0.0.1]"];
  const bad = ["example.com", "y.z.b.example", "b.example", "localhost", "xy.c", "10.0.0.2", "", "a..b.example"];
  for (const host of good) expect([host, isValidFor(shown, host)]).toEqual([host, true]);
  for (const host of bad) expect([host, isValidFor(shown, host)]).toEqual([host, false]);
});

test("a common name or one host name of those allowed is enough", () => {
  const shown = certificate({ commonName: "m1", dnsNames: ["m1.example"] });
  const failed = "client certificate authentication failed";
  expect(disallowed(shown, { allowedCommonNames: [], allowedHostnames: [] })).toBeUndefined();
  expect(disallowed(shown, { allowedCommonNames: ["m0", "m1"], allowedHostnames: [] })).toBeUndefined();
  expect(disallowed(shown, { allowedCommonNames: ["m0"], allowedHostnames: [] })).toBe(failed);
  expect(disallowed(shown, { allowedCommonNames: [], allowedHostnames: ["m0", "m1.example"] })).toBeUndefined();
  expect(disallowed(shown, { allowedCommonNames: [], allowedHostnames: ["m1"] })).toBe(failed);
  expect(disallowed(certificate({}), { allowedCommonNames: ["m0"], allowedHostnames: [] })).toBe(failed);
});

/** A list of serial numbers. */
function list(version: number, ...serials: readonly Uint8Array[]): Uint8Array {
  const time = der(derTag.utcTime, new TextEncoder().encode("260101000000Z"));
  const rows = serials.map((serial) => der(derTag.sequence, derInteger(serial), time));
  const body = der(
    derTag.sequence,
    derInteger(Uint8Array.of(version)),
    der(derTag.sequence),
    der(derTag.sequence),
    time,
    time,
    ...(rows.length === 0 ? [] : [der(derTag.sequence, ...rows)]),
  );
  return der(derTag.sequence, body, der(derTag.sequence), der(derTag.bitString));
}

test("a certificate is revoked if it or one shown with it is on the list", () => {
  const long = Uint8Array.of(0x80, ...new Array<number>(200).fill(7));
  const shown = certificate({ serials: ["80ff", "1234"] });
  expect(revoked(shown, list(1))).toBeUndefined();
  expect(revoked(shown, list(1, Uint8Array.of(0x12), long))).toBeUndefined();
  expect(revoked(shown, list(1, long, Uint8Array.of(0x12, 0x34)))).toBe("transport: certificate serial 1234 revoked");
  expect(revoked(shown, list(1, Uint8Array.of(0, 0x80, 0xff)))).toBe("transport: certificate serial 80ff revoked");
  expect(revoked(shown, list(0, Uint8Array.of(0x12, 0x34)))).toBe("x509: unsupported crl version");
  const whole = list(1, Uint8Array.of(0x12, 0x34));
  for (let length = 0; length < whole.length; length++) {
    expect(revoked(shown, whole.subarray(0, length))).toBe("x509: malformed crl");
  }
});

test("a certificate is good where it comes from by its addresses, or by the name service", async () => {
  const noDns = {
    addresses: async (host: string): Promise<string[]> => Promise.reject(new Error(`lookup ${host}: no such host`)),
    names: async (address: string): Promise<string[]> => Promise.reject(new Error(`lookup ${address}: no such host`)),
  };
  const from = (shown: Partial<ShownCertificate>, dns: Partial<typeof noDns> = {}): Promise<string | undefined> =>
    misplaced(certificate(shown), "10.0.0.1", { ...noDns, ...dns });
  expect(await from({})).toBeUndefined();
  expect(await from({ ipAddresses: ["10.0.0.1"] })).toBeUndefined();
  expect(await from({ ipAddresses: ["10.0.0.2", "::1"] })).toBe(
    "x509: certificate is valid for 10.0.0.2, ::1, not 10.0.0.1",
  );
  const named = { ipAddresses: ["10.0.0.2"], dnsNames: ["a.example", "*.example"] };
  expect(await from(named, { names: async () => ["x.y.example."] })).toBeUndefined();
  expect(await from(named, { names: async () => ["a.example"] })).toBeUndefined();
  expect(await from(named, { addresses: async () => ["10.0.0.3", "10.0.0.1"] })).toBeUndefined();
  const looked: string[] = [];
  const addresses = async (host: string): Promise<string[]> => {
    looked.push(host);
    return ["10.0.0.3"];
  };
  expect(await from(named, { addresses, names: async () => ["example."] })).toBe(
    'tls: "10.0.0.1" does not match any of DNSNames ["a.example" "*.example"]',
  );
  expect(looked).toEqual(["a.example"]);
  expect(await from(named)).toBe(
    'tls: "10.0.0.1" does not match any of DNSNames ["a.example" "*.example"] (lookup a.example: no such host)',
  );
});
