/** An argument of a command. */
export type Argument = string | Uint8Array;

/** One connection, for one life: it never comes back by itself. */
export interface Connection {
  /** Resolves once commands can be sent; rejects if that failed. */
  readonly ready: Promise<void>;
  /** Sends a command; strings in the reply are bytes. The first argument that is a key is `args[keyAt]`. */
  call(args: readonly Argument[], keyAt: number): Promise<unknown>;
  /** Sends a command without a key to every primary there is. */
  everywhere(args: readonly string[]): Promise<unknown[]>;
  /** Ends it at once. Idempotent. */
  destroy(): void;
}

/** What a connection tells whoever opened it. */
export interface ConnectionEvents {
  /** Something went wrong; it may go on. */
  failed(error: unknown): void;
  /** It is over. */
  ended(): void;
}

/** Opens connections to one place. */
export interface Connector {
  /** Whether the keys of one command must share a slot. */
  readonly cluster: boolean;
  open(events: ConnectionEvents): Connection;
}
