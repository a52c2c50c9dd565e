/** An etcd member inside a Node program. */

export { BootstrapError } from "./config/bootstrap-error.js";
export type { MemberConfig } from "./config/member-config.js";
export { type Etcd, type StartOptions, startEtcd, startMember } from "./embed.js";
export type { Env } from "./env.js";
export type { Member } from "./node/member.js";
