import { lookup, resolveSrv, reverse } from "node:dns/promises";
import type { Dns } from "../env.js";

/** Hosts are looked up as the system does it, with its hosts file; services only by asking the name servers. */
export const nodeDns: Dns = {
  async services(name) {
    const records = await resolveSrv(name);
    records.sort((a, b) => a.priority - b.priority || b.weight - a.weight);
    return records.map((record) => ({ target: record.name, port: record.port }));
  },
  async addresses(host) {
    return (await lookup(host, { all: true })).map(({ address }) => address);
  },
  names: (address) => reverse(address),
};
