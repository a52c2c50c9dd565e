/** TLS cipher suites by Go's names, which are IANA's, and by OpenSSL's. */

/** Those of TLS 1.3. Naming them changes nothing: Go and so etcd always offers all three. */
const tls13: readonly string[] = ["TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"];

/**
 * Go's name → OpenSSL's. Those without are not in OpenSSL as Node builds it. Source: Go crypto/tls/cipher_suites.go.
 */
const tls12: ReadonlyMap<string, string | undefined> = new Map([
  ["TLS_RSA_WITH_AES_128_CBC_SHA", "AES128-SHA"],
  ["TLS_RSA_WITH_AES_256_CBC_SHA", "AES256-SHA"],
  ["TLS_RSA_WITH_AES_128_CBC_SHA256", "AES128-SHA256"],
  ["TLS_RSA_WITH_AES_128_GCM_SHA256", "AES128-GCM-SHA256"],
  ["TLS_RSA_WITH_AES_256_GCM_SHA384", "AES256-GCM-SHA384"],
  ["TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "ECDHE-ECDSA-AES128-SHA"],
  ["TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "ECDHE-ECDSA-AES256-SHA"],
  ["TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "ECDHE-RSA-AES128-SHA"],
  ["TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "ECDHE-RSA-AES256-SHA"],
  ["TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", "ECDHE-ECDSA-AES128-SHA256"],
  ["TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", "ECDHE-RSA-AES128-SHA256"],
  ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"],
  ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"],
  ["TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384"],
  ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"],
  ["TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"],
  ["TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"],
  ["TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305", "ECDHE-RSA-CHACHA20-POLY1305"],
  ["TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305", "ECDHE-ECDSA-CHACHA20-POLY1305"],
  ["TLS_RSA_WITH_3DES_EDE_CBC_SHA", undefined],
  ["TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", undefined],
  ["TLS_RSA_WITH_RC4_128_SHA", undefined],
  ["TLS_ECDHE_RSA_WITH_RC4_128_SHA", undefined],
  ["TLS_ECDHE_ECDSA_WITH_RC4_128_SHA", undefined],
]);

/** What is wrong with a suite's name; undefined when it can be offered. */
export function cipherSuiteFault(name: string): string | undefined {
  if (tls13.includes(name) || tls12.get(name) !== undefined) return undefined;
  if (tls12.has(name)) return `TLS cipher suite ${JSON.stringify(name)} is not supported here`;
  return `unexpected TLS cipher suite ${JSON.stringify(name)}`;
}

/** OpenSSL's list, in the order given; undefined when no names are given and the choice is the library's. */
export function openSslCiphers(names: readonly string[]): string | undefined {
  if (names.length === 0) return undefined;
  const chosen = names.map((name) => tls12.get(name)).filter((name) => name !== undefined);
  // Without any of TLS 1.3 among them, Node would turn that version off.
  return [...tls13, ...chosen].join(":");
}
