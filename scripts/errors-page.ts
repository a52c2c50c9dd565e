/** docs/errors.md, made from the error table. */

import { errorSpecs, reasons } from "@etcd-ts/api";

const codeNames: Readonly<Record<number, string>> = {
  1: "Canceled",
  2: "Unknown",
  3: "InvalidArgument",
  4: "DeadlineExceeded",
  5: "NotFound",
  7: "PermissionDenied",
  8: "ResourceExhausted",
  9: "FailedPrecondition",
  11: "OutOfRange",
  14: "Unavailable",
  15: "DataLoss",
  16: "Unauthenticated",
};

const introduction = `# Errors

Every error a member answers with, as \`packages/api/src/errors.ts\` has it; \`npm run generate\` writes this page from there.
Codes and texts are those of etcd 3.7, so that every etcd client understands them. *Reason* is the name in this project:
\`EtcdError.reason\` in the SDK. *Retry* says that the cause is expected to pass: a request that does no harm when done
twice may be sent again.

\`memberNotEnoughStarted\` and \`requestTooManyRequests\` leave an etcd server with code Unknown, whatever its own table
says, and leave ours so, too.

| reason | code | text | retry | in etcd's Go client |
|---|---|---|---|---|
`;

export function errorsPage(): string {
  const rows = reasons.map((reason) => {
    const { code, message, retryable, clientIdentifier } = errorSpecs[reason];
    const name = clientIdentifier === undefined ? "" : `\`${clientIdentifier}\``;
    return `| ${reason} | ${code} ${codeNames[code]} | ${message} | ${retryable ? "yes" : ""} | ${name} |\n`;
  });
  return introduction + rows.join("");
}
