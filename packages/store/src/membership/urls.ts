/**
 * URLs that members listen on and are reached by. Source: client/pkg/types/urls.go.
 */

export interface MemberUrl {
  /** As written, without the blanks around it and with the scheme in lower case. */
  readonly text: string;
  readonly scheme: "http" | "https" | "unix" | "unixs";
  /** Name or address, without brackets; for unix schemes the path of the socket. */
  readonly host: string;
  /** As written, since 0 and names of ports are for the operating system to judge; "" for unix schemes. */
  readonly port: string;
}

export type UrlResult =
  | { readonly kind: "valid"; readonly url: MemberUrl }
  | { readonly kind: "invalid"; readonly message: string };

export type UrlsResult =
  | { readonly kind: "valid"; readonly urls: readonly string[] }
  | { readonly kind: "invalid"; readonly message: string };

/** Checks a list and sorts it. */
export function parseUrls(texts: readonly string[]): UrlsResult {
  if (texts.length === 0) return { kind: "invalid", message: "no valid URLs given" };
  const urls: string[] = [];
  for (const text of texts) {
    const result = parseUrl(text);
    if (result.kind === "invalid") return result;
    urls.push(result.url.text);
  }
  return { kind: "valid", urls: urls.sort() };
}

/** http and https URLs need `host:port` and no path; unix and unixs ones are not looked at further. */
export function parseUrl(input: string): UrlResult {
  const text = input.trim();
  const invalid = (message: string): UrlResult => ({ kind: "invalid", message });
  // Printable ASCII only: anything else has to be percent-encoded in a URL.
  if (!/^[!-~]*$/.test(text)) return invalid(`invalid character in URL: ${JSON.stringify(text)}`);
  const scheme = /^([a-zA-Z][a-zA-Z0-9+.-]*):/.exec(text)?.[1]?.toLowerCase();
  if (scheme !== "http" && scheme !== "https" && scheme !== "unix" && scheme !== "unixs") {
    return invalid(`URL scheme must be http, https, unix, or unixs: ${text}`);
  }
  const rest = text.slice(scheme.length + 1);
  const url = `${scheme}:${rest}`;
  const [, authority = "", path = ""] = /^(?:\/\/([^/?#]*))?([^?#]*)/.exec(rest) ?? [];
  if (scheme === "unix" || scheme === "unixs") {
    return { kind: "valid", url: { text: url, scheme, host: authority + path, port: "" } };
  }
  const address = authority.slice(authority.lastIndexOf("@") + 1);
  const portText = /^(?:\[[^\]]*\]|.*?)(:[^:]*)?$/.exec(address)?.[1];
  if (portText !== undefined && !/^:\d*$/.test(portText)) {
    return invalid(`parse ${JSON.stringify(text)}: invalid port ${JSON.stringify(portText)} after host`);
  }
  const hostText = address.slice(0, address.length - (portText?.length ?? 0));
  if (portText === undefined || !/^(?:\[[0-9A-Fa-f:.]+(?:%25[^\]]+)?\]|[^:[\]%]*)$/.test(hostText)) {
    return invalid(`URL address does not have the form "host:port": ${text}`);
  }
  if (path !== "") return invalid(`URL must not contain a path: ${text}`);
  const host = hostText.replace(/^\[(.*)\]$/, "$1");
  return { kind: "valid", url: { text: url, scheme, host, port: portText.slice(1) } };
}
