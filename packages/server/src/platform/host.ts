import { networkInterfaces } from "node:os";

/** First address of this host that others can reach; undefined when there is none. */
export function defaultHost(): string | undefined {
  for (const addresses of Object.values(networkInterfaces())) {
    const found = addresses?.find((address) => !address.internal && address.family === "IPv4");
    if (found !== undefined) return found.address;
  }
  return undefined;
}
