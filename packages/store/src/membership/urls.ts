/**
 * The lists of URLs that name members. Source: client/pkg/types/urls.go.
 */

export type UrlsResult =
  | { readonly kind: "valid"; readonly urls: readonly string[] }
  | { readonly kind: "invalid"; readonly message: string };

/**
 * Checks a list and sorts it. http and https URLs need `host:port` and no path; unix and unixs ones are not looked at
 * further. Only the scheme is normalised (to lower case).
 */
export function parseUrls(texts: readonly string[]): UrlsResult {
  if (texts.length === 0) return { kind: "invalid", message: "no valid URLs given" };
  const urls: string[] = [];
  for (const text of texts) {
    const result = parseUrl(text.trim());
    if (result.kind === "invalid") return result;
    urls.push(...result.urls);
  }
  return { kind: "valid", urls: urls.sort() };
}

function parseUrl(text: string): UrlsResult {
  const invalid = (message: string): UrlsResult => ({ kind: "invalid", message });
  // Printable ASCII only: anything else has to be percent-encoded in a URL.
  if (!/^[!-~]*$/.test(text)) return invalid(`invalid character in URL: ${JSON.stringify(text)}`);
  const parts = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?#]*)([^?#]*)(.*)$/.exec(text);
  if (parts === null) return invalid(`URL scheme must be http, https, unix, or unixs: ${text}`);
  const [, rawScheme = "", authority = "", path = "", rest = ""] = parts;
  const scheme = rawScheme.toLowerCase();
  const url = `${scheme}://${authority}${path}${rest}`;
  if (scheme === "unix" || scheme === "unixs") return { kind: "valid", urls: [url] };
  if (scheme !== "http" && scheme !== "https") {
    return invalid(`URL scheme must be http, https, unix, or unixs: ${text}`);
  }
  const host = authority.slice(authority.lastIndexOf("@") + 1);
  if (!/^(?:\[[0-9A-Fa-f:.]+(?:%25[^\]]+)?\]|[^:[\]%]*):[0-9]*$/.test(host)) {
    return invalid(`URL address does not have the form "host:port": ${text}`);
  }
  if (path !== "") return invalid(`URL must not contain a path: ${text}`);
  return { kind: "valid", urls: [url] };
}
