/** Lists of URLs as flags have them. */

import { type MemberUrl, parseUrl } from "@etcd-ts/store";
import { accepted, type Parsed, refused } from "./parsed.js";

/** Comma-separated URLs, sorted by their text, as etcd keeps them (member ids are computed from the sorted list). */
export function parseUrlList(text: string): Parsed<readonly MemberUrl[]> {
  const urls: MemberUrl[] = [];
  for (const part of text.split(",")) {
    const result = parseUrl(part);
    if (result.kind === "invalid") return refused(result.message);
    urls.push(result.url);
  }
  urls.sort((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : 0));
  return accepted(urls);
}

/** True for an IPv4 or IPv6 address in text, as Go's net.ParseIP accepts it. */
export function isIpAddress(host: string): boolean {
  if (host.includes(":")) return /^[0-9a-fA-F:.]+$/.test(host) && URL.canParse(`http://[${host}]`);
  const parts = host.split(".");
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
}
