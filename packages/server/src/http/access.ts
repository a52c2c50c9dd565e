/**
 * Who may call: host names of plain HTTP, origins of browsers, and the old name of the gateway.
 * Source: etcd server/embed/serve.go accessController.
 */

import type { HttpBodyReceiver, HttpExchange, HttpHandler, HttpHeaders, PeerInfo } from "@etcd-ts/grpc";
import { answering, pathOf, plainError } from "./answer.js";

export interface AccessOptions {
  /** Empty or holding `*` = all. */
  readonly cors: readonly string[];
  /** Empty or holding `*` = all. */
  readonly hostWhitelist: readonly string[];
  /** True while client certificates are required, the gateway is served and auth is on. */
  readonly refusesCommonName: () => boolean;
}

/** Wraps the handlers of a client listener. */
export function withAccess(
  handler: HttpHandler,
  { cors, hostWhitelist, refusesCommonName }: AccessOptions,
): HttpHandler {
  return (exchange) => {
    const { host = "", origin = "" } = exchange.headers;
    const name = hostName(host);
    if (!exchange.peer.tls && !allows(hostWhitelist, name)) return misdirected(name)(exchange);
    const target = exchange.target.replace(/^\/v3beta\//, "/v3/");
    if (exchange.peer.commonName && pathOf({ target }).startsWith("/v3/") && refusesCommonName()) {
      return commonNameRefused(exchange);
    }
    const allowedOrigin = allows(cors, "*") ? "*" : allows(cors, origin) ? origin : undefined;
    const headers = allowedOrigin === undefined ? {} : corsHeaders(allowedOrigin);
    if (exchange.method === "OPTIONS") return exchange.respond(200, headers, "");
    return handler(new AdmittedExchange(exchange, { target, headers }));
  };
}

function allows(list: readonly string[], item: string): boolean {
  return list.length === 0 || list.includes("*") || list.includes(item);
}

const commonNameRefused = answering(() =>
  plainError(400, "CommonName of client sending a request against gateway will be ignored and not used as expected"),
);

/** The name without the port and without an IPv6 address' brackets; its case is kept, as the list's is. */
function hostName(authority: string): string {
  const bracketed = /^\[(.*)\](:\d*)?$/.exec(authority);
  if (bracketed !== null) return bracketed[1] ?? "";
  return /^([^:]*):[^:]*$/.exec(authority)?.[1] ?? authority;
}

function misdirected(host: string): HttpHandler {
  return answering(() =>
    plainError(
      421,
      `
etcd received your request, but the Host header was unrecognized.

To fix this, choose one of the following options:
- Enable TLS, then any HTTPS request will be allowed.
- Add the hostname you want to use to the whitelist in settings.
  - e.g. etcd --host-whitelist ${JSON.stringify(host)}

This requirement has been added to help prevent "DNS Rebinding" attacks (CVE-2018-5702).
`,
    ),
  );
}

function corsHeaders(origin: string): HttpHeaders {
  return {
    "access-control-allow-headers": "accept, content-type, authorization",
    "access-control-allow-methods": "POST, GET, OPTIONS, PUT, DELETE",
    "access-control-allow-origin": origin,
  };
}

/** An exchange with another target, whose answer carries further headers. */
class AdmittedExchange implements HttpExchange {
  readonly target: string;
  readonly #exchange: HttpExchange;
  readonly #headers: HttpHeaders;

  constructor(exchange: HttpExchange, { target, headers }: { readonly target: string; readonly headers: HttpHeaders }) {
    this.target = target;
    this.#exchange = exchange;
    this.#headers = headers;
  }

  get protocol(): HttpExchange["protocol"] {
    return this.#exchange.protocol;
  }

  get method(): string {
    return this.#exchange.method;
  }

  get headers(): HttpHeaders {
    return this.#exchange.headers;
  }

  get peer(): PeerInfo {
    return this.#exchange.peer;
  }

  get ended(): boolean {
    return this.#exchange.ended;
  }

  receive(receiver: HttpBodyReceiver): void {
    this.#exchange.receive(receiver);
  }

  pauseReceiving(): void {
    this.#exchange.pauseReceiving();
  }

  resumeReceiving(): void {
    this.#exchange.resumeReceiving();
  }

  respond(status: number, headers: HttpHeaders, body: Uint8Array | string): void {
    this.#exchange.respond(status, { ...this.#headers, ...headers }, body);
  }

  open(status: number, headers: HttpHeaders): void {
    this.#exchange.open(status, { ...this.#headers, ...headers });
  }

  send(bytes: Uint8Array): boolean {
    return this.#exchange.send(bytes);
  }

  end(): void {
    this.#exchange.end();
  }

  onCancel(callback: () => void): void {
    this.#exchange.onCancel(callback);
  }

  onDrain(callback: () => void): void {
    this.#exchange.onDrain(callback);
  }
}
