/** Endpoints as etcd's clients write them. Source: etcd client/v3/internal/endpoint/endpoint.go. */

export interface Endpoint {
  /** As it was given. */
  readonly text: string;
  readonly target: { readonly host: string; readonly port: number } | { readonly path: string };
  /** undefined: as the client is set up. */
  readonly secure: boolean | undefined;
}

/** Where etcd's clients look when no port is given. */
const defaultPort = 2379;

/**
 * Reads `host:port`, `http://…`, `https://…`, `unix://path` or `unixs://path`. Throws TypeError for what is none of
 * these.
 */
export function parseEndpoint(text: string): Endpoint {
  const [, scheme, rest] = /^(?:([a-z]+):(?:\/\/)?(?!\d+$))?(.*)$/i.exec(text) ?? [];
  const address = rest ?? "";
  switch (scheme) {
    case "unix":
    case "unixs":
      if (address === "") break;
      return { text, target: { path: address }, secure: scheme === "unixs" };
    case undefined:
      return { text, target: hostAndPort(text, address), secure: undefined };
    case "http":
    case "https":
      return { text, target: hostAndPort(text, address.replace(/\/.*$/, "")), secure: scheme === "https" };
  }
  throw new TypeError(`endpoint ${JSON.stringify(text)} is not host:port, nor an http, https, unix or unixs URL`);
}

function hostAndPort(text: string, address: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-f:.%]+)\]|([^:/[\]\s]+))(?::(\d{1,5}))?$/i.exec(address);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3] ?? defaultPort);
  if (host === undefined || port > 65_535) throw new TypeError(`endpoint ${JSON.stringify(text)} is not host:port`);
  return { host, port };
}
