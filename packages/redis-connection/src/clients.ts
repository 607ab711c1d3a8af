/** A connected or connecting client of the package `ioredis` (`Redis` or `Cluster`), by its shape. */
export interface IoredisClient {
  readonly status: string;
  // oxlint-disable-next-line typescript/no-explicit-any
  callBuffer(command: string, ...args: any[]): Promise<unknown>;
  disconnect(reconnect?: boolean): void;
  // The two clients have different ones; it is called with what fits.
  // oxlint-disable-next-line typescript/no-explicit-any
  duplicate(...args: any[]): unknown;
}

/** A client of the package `redis` (node-redis), by its shape. */
export interface NodeRedisClient {
  readonly isOpen: boolean;
  // oxlint-disable-next-line typescript/no-explicit-any
  sendCommand(args: any, options?: any): Promise<unknown>;
  // oxlint-disable-next-line typescript/no-explicit-any
  duplicate(overrides?: any): unknown;
}

/** Options of ioredis, passed on as they are. */
export type IoredisOptions = Readonly<Record<string, unknown>>;

/**
 * Where the server is: a `redis:` or `rediss:` URL, options of ioredis, or a client. A client is borrowed for its
 * configuration: connections are opened from it (`duplicate()`), and it is never used or closed itself.
 */
export type RedisClient = string | IoredisOptions | IoredisClient | NodeRedisClient;

/** How connections are opened and judged. */
export interface ConnectionSettings {
  /** How long a connection may take to come up. */
  readonly connectTimeoutMs: number;
  /** How long a command may go unanswered before its connection is replaced. */
  readonly replyTimeoutMs: number;
  /** How long a command may wait on the server, for those that do. @defaultValue `replyTimeoutMs` */
  readonly blockMs?: number;
  /**
   * Whether the client of a cluster may send a command again when the connection to a node was closed before its answer:
   * only for commands that may run twice. @defaultValue false
   */
  readonly resend?: boolean;
}
