/** The URLs a member listens on and advertises: `http`, `https`, `unix` and `unixs`. Source: etcd client/pkg/types/urls.go. */

import { accepted, type Parsed, refused } from "./parsed.js";

export interface MemberUrl {
  /** As written, without the blanks around it. */
  readonly text: string;
  readonly scheme: "http" | "https" | "unix" | "unixs";
  /** Name or address, without brackets; for unix schemes the path of the socket. */
  readonly host: string;
  /** As written, since 0 and names of ports are for the operating system to judge; "" for unix schemes. */
  readonly port: string;
}

/** Comma-separated URLs, sorted by their text, as etcd keeps them (member ids are computed from the sorted list). */
export function parseUrls(text: string): Parsed<readonly MemberUrl[]> {
  const urls: MemberUrl[] = [];
  for (const part of text.split(",")) {
    const result = parseUrl(part);
    if (result.kind === "refused") return result;
    urls.push(result.value);
  }
  urls.sort((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : 0));
  return accepted(urls);
}

export function parseUrl(input: string): Parsed<MemberUrl> {
  const text = input.trim();
  const scheme = /^([a-zA-Z][a-zA-Z0-9+.-]*):/.exec(text)?.[1]?.toLowerCase();
  if (scheme !== "http" && scheme !== "https" && scheme !== "unix" && scheme !== "unixs") {
    return refused(`URL scheme must be http, https, unix, or unixs: ${text}`);
  }
  const rest = text.slice(scheme.length + 1);
  const [, authority = "", path = ""] = /^(?:\/\/([^/?#]*))?([^?#]*)/.exec(rest) ?? [];
  if (scheme === "unix" || scheme === "unixs") {
    return accepted({ text, scheme, host: authority + path, port: "" });
  }
  const address = authority.slice(authority.lastIndexOf("@") + 1);
  const portText = /^(?:\[[^\]]*\]|[^:]*)(:.*)?$/.exec(address)?.[1];
  if (portText !== undefined && !/^:\d*$/.test(portText)) {
    return refused(`parse ${JSON.stringify(text)}: invalid port ${JSON.stringify(portText)} after host`);
  }
  if (portText === undefined) return refused(`URL address does not have the form "host:port": ${text}`);
  if (path !== "") return refused(`URL must not contain a path: ${text}`);
  const host = address.slice(0, address.length - portText.length).replace(/^\[(.*)\]$/, "$1");
  return accepted({ text, scheme, host, port: portText.slice(1) });
}

/** True for an IPv4 or IPv6 address in text, as Go's net.ParseIP accepts it. */
export function isIpAddress(host: string): boolean {
  if (host.includes(":")) return /^[0-9a-fA-F:.]+$/.test(host) && URL.canParse(`http://[${host}]`);
  const parts = host.split(".");
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
}
