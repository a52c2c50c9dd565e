/** Whole answers to HTTP requests, as values, and how they are sent. */

import type { HttpExchange, HttpHandler, HttpHeaders } from "@etcd-ts/grpc";

/** What a handler of whole answers may know of a request. */
export interface HttpQuestion {
  readonly method: string;
  /** Without the query, as sent. */
  readonly path: string;
  readonly query: URLSearchParams;
}

export interface HttpAnswer {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: HttpHeaders;
  readonly body: Uint8Array | string;
}

/** A handler that sends what `answer` returns. A rejection is a bug, and answered 500. */
export function answering(answer: (question: HttpQuestion) => HttpAnswer | Promise<HttpAnswer>): HttpHandler {
  return (exchange) => {
    const respond = ({ status, headers, body }: HttpAnswer) => exchange.respond(status, headers, body);
    const question = { method: exchange.method, path: pathOf(exchange), query: queryOf(exchange) };
    Promise.resolve(question)
      .then(answer)
      .then(respond, (error: unknown) => respond(plainError(500, String(error))));
  };
}

/** The same for GET; other methods, HEAD among them, are told so. */
export function answeringGet(answer: (question: HttpQuestion) => HttpAnswer | Promise<HttpAnswer>): HttpHandler {
  return answering((question) => {
    if (question.method !== "GET") return plainError(405, "Method Not Allowed", { allow: "GET" });
    return answer(question);
  });
}

export function pathOf({ target }: Pick<HttpExchange, "target">): string {
  const end = target.search(/[?#]/);
  return end < 0 ? target : target.slice(0, end);
}

function queryOf({ target }: HttpExchange): URLSearchParams {
  const start = target.indexOf("?");
  return new URLSearchParams(start < 0 ? "" : target.slice(start + 1));
}

/** As Go's http.Error: plain text that browsers must not take for anything else, and a line's end. */
export function plainError(status: number, text: string, headers: HttpHeaders = {}): HttpAnswer {
  return {
    status,
    headers: { ...headers, "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" },
    body: `${text}\n`,
  };
}
