/**
 * Whether two lists of peer URLs mean the same, be it that one has names and the other addresses.
 *
 * Source: etcd pkg/netutil/netutil.go URLStringsEqual.
 */

import { type MemberUrl, parseUrl } from "@etcd-ts/store";
import type { Env } from "../env.js";
import { isIpAddress } from "./member-url.js";

export type NameEnv = Pick<Env, "clock" | "dns" | "logger">;

/** A name service that comes up together with the member is waited for. */
const lookupMs = 30_000;
const retryMs = 1000;

/** Why two lists differ; undefined when they mean the same. */
export async function difference(
  env: NameEnv,
  left: readonly string[],
  right: readonly string[],
): Promise<string | undefined> {
  if (left.length !== right.length) return `len(${quoted(left)}) != len(${quoted(right)})`;
  if (isSameText(left, right)) return undefined;
  const deadline = env.clock.now() + lookupMs;
  const resolved: string[][] = [];
  for (const urls of [left, right]) {
    const own: string[] = [];
    for (const url of urls) {
      const result = await resolvedUrl(env, url, deadline);
      if ("error" in result) return `failed to resolve ${JSON.stringify(url)} (${result.error})`;
      own.push(result.url);
    }
    resolved.push(own.sort());
  }
  const [a = [], b = []] = resolved;
  const at = a.findIndex((url, i) => url !== b[i]);
  return at < 0 ? undefined : `resolved urls: ${JSON.stringify(a[at])} != ${JSON.stringify(b[at])}`;
}

/**
 * Address and port of a URL, as text; unix sockets and localhost are not looked up. Rejects when the name is unknown.
 */
export async function resolvedAddress(dns: Env["dns"], { host, port }: MemberUrl): Promise<string> {
  const address = isIpAddress(host) ? host : (await dns.addresses(host))[0];
  if (address === undefined) throw new Error(`lookup ${host}: no such host`);
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Whether two lists are the same without looking anything up. */
export function isSameText(left: readonly string[], right: readonly string[]): boolean {
  return [...left].sort().join() === [...right].sort().join();
}

async function resolvedUrl(
  env: NameEnv,
  text: string,
  deadline: number,
): Promise<{ readonly url: string } | { readonly error: string }> {
  const parsed = parseUrl(text);
  if (parsed.kind === "invalid") return { error: parsed.message };
  const { url } = parsed;
  if (url.scheme === "unix" || url.scheme === "unixs" || url.host === "localhost") return { url: url.text };
  for (;;) {
    try {
      return { url: `${url.scheme}://${await resolvedAddress(env.dns, url)}` };
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      env.logger.log("warn", "failed to resolve URL Host", { url: text, host: url.host, error: why });
      if (env.clock.now() + retryMs > deadline) return { error: why };
      await new Promise<void>((resolve) => env.clock.setTimer(retryMs, resolve));
    }
  }
}

function quoted(urls: readonly string[]): string {
  return `[${urls.map((url) => JSON.stringify(url)).join(" ")}]`;
}
