/**
 * The first members of a cluster from SRV records of a DNS domain.
 *
 * Source: etcd client/pkg/srv/srv.go GetCluster, server/embed/config.go GetDNSClusterNames and PeerURLsMapAndToken.
 */

import { parseInitialCluster } from "@etcd-ts/store";
import { BootstrapError } from "../config/bootstrap-error.js";
import type { MemberConfig } from "../config/member-config.js";
import { resolvedAddress } from "../config/peer-urls.js";
import type { Env } from "../env.js";
import { Wal } from "../wal/wal.js";

type DiscoveryEnv = Pick<Env, "disk" | "dns" | "logger">;

/**
 * The configuration with the cluster that the records name; unchanged without `--discovery-srv`, and for a member that
 * has data. Rejects with `BootstrapError`.
 */
export async function withDiscoveredCluster(env: DiscoveryEnv, config: MemberConfig): Promise<MemberConfig> {
  if (config.discoverySrv === "") return config;
  const walDirectory = config.walDir ?? `${config.dataDir}/member/wal`;
  if (await Wal.exists(env.disk, walDirectory)) return config;
  const found: string[] = [];
  const errors: string[] = [];
  for (const scheme of ["https", "http"] as const) {
    const service = serviceName(scheme, config.discoverySrvName);
    const result = await membersOf(env.dns, scheme, service, config);
    if (result.members.length > 0) found.push(...result.members);
    else if (result.error !== undefined) errors.push(`error querying DNS SRV records for _${service} ${result.error}`);
    env.logger.log("info", `get cluster for ${scheme === "https" ? "etcd-server-ssl" : "etcd-server"} SRV`, {
      "service-scheme": scheme,
      "service-name": service,
      "server-name": config.name,
      "discovery-srv": config.discoverySrv,
      "advertise-peer-urls": config.initialAdvertisePeerUrls.map(({ text }) => text),
      "found-cluster": result.members,
      ...(result.error !== undefined && { error: result.error }),
    });
  }
  if (errors.length > 0) env.logger.log("warn", "failed to resolve during SRV discovery", { error: errors.join("\n") });
  if (found.length === 0) throw new BootstrapError(`error setting up initial cluster: ${errors.join("\n")}`);
  for (const node of found) env.logger.log("info", "got bootstrap from DNS for etcd-server", { node });
  const initialCluster = found.join(",");
  const parsed = parseInitialCluster(initialCluster);
  if (parsed.kind === "valid" && !parsed.cluster.has(config.name)) {
    const message = `cannot find local etcd member ${JSON.stringify(config.name)} in SRV records`;
    throw new BootstrapError(`error setting up initial cluster: ${message}`);
  }
  // Without an authority of their own the members are to be known by the domain.
  const serverName =
    initialCluster.includes("https://") && config.peerTls.trustedCaFile === "" ? config.discoverySrv : "";
  return { ...config, initialCluster, peerTls: { ...config.peerTls, serverName } };
}

function serviceName(scheme: "http" | "https", suffix: string): string {
  return `etcd-server${scheme === "https" ? "-ssl" : ""}${suffix === "" ? "" : `-${suffix}`}`;
}

/** `name=url` of each record; those that are not this member are numbered. */
async function membersOf(
  dns: Env["dns"],
  scheme: "http" | "https",
  service: string,
  config: MemberConfig,
): Promise<{ readonly members: readonly string[]; readonly error?: string }> {
  const members: string[] = [];
  let error: string | undefined;
  try {
    const own = new Map<string, string>();
    for (const url of config.initialAdvertisePeerUrls) own.set(await resolvedAddress(dns, url), url.scheme);
    let numbered = 0;
    for (const { target, port } of await dns.services(`_${service}._tcp.${config.discoverySrv}`)) {
      const host = target.replace(/\.$/, "");
      const text = `${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}`;
      const url = { text, scheme, host, port: String(port) };
      const address = await resolvedAddress(dns, url).catch((reason: unknown) => {
        error = messageOf(reason);
      });
      if (address === undefined) continue;
      const ownScheme = own.get(address);
      const name = ownScheme === undefined ? String(numbered++) : config.name;
      if (ownScheme === undefined || ownScheme === scheme) members.push(`${name}=${text}`);
      else error = `bootstrap at ${text} from DNS for ${service} has scheme mismatch with expected peer ${ownScheme}`;
    }
  } catch (reason) {
    return { members: [], error: messageOf(reason) };
  }
  return members.length > 0 || error === undefined ? { members } : { members, error };
}

function messageOf(reason: unknown): string {
  return reason instanceof Error ? reason.message : String(reason);
}
