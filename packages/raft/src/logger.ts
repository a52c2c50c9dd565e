/** Where a node's log lines go. Lines have no level prefix and no line end; ids in them are hexadecimal. */
export interface Logger {
  debug(line: string): void;
  info(line: string): void;
  warning(line: string): void;
  error(line: string): void;
}

/** Drops every line. */
export const silentLogger: Logger = Object.freeze({
  debug: () => {},
  info: () => {},
  warning: () => {},
  error: () => {},
});
