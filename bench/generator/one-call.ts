/** A single unary call, for what a load needs besides itself. */

import { runClosedLoop } from "./closed-loop.js";

/** Calls once and waits for the answer, whatever it holds. Rejects when the call fails. */
export async function callOnce(
  target: { readonly host: string; readonly port: number },
  request: { readonly path: string; readonly message: Uint8Array },
): Promise<void> {
  let isSent = false;
  const prepare = (): { path: string; message: Uint8Array; size: number } | undefined => {
    if (isSent) return undefined;
    isSent = true;
    return { ...request, size: request.message.length };
  };
  const { host, port } = target;
  await runClosedLoop({ host, port, connections: 1, streams: 1, work: () => ({ prepare, check: () => undefined }) });
}
