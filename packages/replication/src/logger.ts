/** The part of a pino logger that is used. One line a state change, none a record. */
export interface ReplicationLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Says nothing: the default. */
export const SILENT_LOGGER: ReplicationLogger = { info: () => {}, warn: () => {}, error: () => {} };
