/** Finds the handler of a path, and says what Go's mux says when there is none. */

import type { HttpHandler } from "@etcd-ts/grpc";
import { answering, type HttpAnswer, pathOf, plainError } from "./answer.js";

/** Handlers by exact path, or by prefix when the path ends in `/`. No prefix may begin another. */
export type Routes = ReadonlyMap<string, HttpHandler>;

const notFound = answering(() => plainError(404, "404 page not found"));

export function createRouter(routes: Routes): HttpHandler {
  const prefixes = [...routes.keys()].filter((path) => path.endsWith("/"));
  const find = (path: string): HttpHandler => {
    const clean = cleanPath(path);
    if (clean !== path) return redirecting(clean);
    const exact = routes.get(path);
    if (exact !== undefined) return exact;
    const prefix = prefixes.find((candidate) => path.startsWith(candidate));
    const handler = prefix === undefined ? undefined : routes.get(prefix);
    return handler ?? (routes.has(`${path}/`) ? redirecting(`${path}/`) : notFound);
  };
  return (exchange) => find(pathOf(exchange))(exchange);
}

/** Without empty, `.` and `..` segments; a trailing slash stays. Source: Go net/http cleanPath. */
function cleanPath(path: string): string {
  if (path.startsWith("/") && !/\/\/|\/\./.test(path)) return path;
  const segments: string[] = [];
  for (const segment of path.split("/")) {
    if (segment === "..") segments.pop();
    else if (segment !== "" && segment !== ".") segments.push(segment);
  }
  const trailing = path.endsWith("/") && segments.length > 0 ? "/" : "";
  return `/${segments.join("/")}${trailing}`;
}

/** To another path, with the query that was sent. Source: Go net/http Redirect. */
function redirecting(path: string): HttpHandler {
  return answering(({ method, query }): HttpAnswer => {
    const location = query.size > 0 ? `${path}?${query}` : path;
    if (method !== "GET" && method !== "HEAD") return { status: 307, headers: { location }, body: "" };
    return {
      status: 307,
      headers: { "content-type": "text/html; charset=utf-8", location },
      body: `<a href="${escapeHtml(location)}">Temporary Redirect</a>.\n\n`,
    };
  });
}

function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll('"', "&#34;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
