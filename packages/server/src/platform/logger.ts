import { destination, type Level, pino } from "pino";
import type { LogFields, Logger, LogLevel } from "../env.js";

/**
 * JSON lines with etcd's field names, so that what reads etcd's log reads ours: level, ts, msg, then the fields.
 * `fd` 1 is stdout, 2 stderr.
 */
export function createNodeLogger(options: { readonly level: Exclude<LogLevel, "fatal">; readonly fd: number }): Logger {
  const output = pino(
    {
      level: options.level,
      base: null,
      timestamp: () => `,"ts":"${timestamp()}"`,
      formatters: { level: (label: string) => ({ level: label }) },
    },
    destination({ fd: options.fd, sync: true }),
  );
  return {
    log(level: LogLevel, message: string, fields: LogFields = {}): void {
      const line: Record<string, unknown> = { msg: message };
      for (const [name, value] of Object.entries(fields)) line[name] = plain(value);
      output[level satisfies Level](line);
    },
  };
}

/** RFC 3339 with microseconds, as etcd prints it. */
function timestamp(): string {
  const now = performance.timeOrigin + performance.now();
  const micros = Math.floor((now % 1) * 1000);
  return `${new Date(now).toISOString().slice(0, -1)}${String(micros).padStart(3, "0")}Z`;
}

/** What JSON has no form for: ids are printed as decimal text, errors as their message. */
function plain(value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Error) return value.message;
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (Array.isArray(value)) return value.map(plain);
  return value;
}
