/** What the command tells whoever started it. The same numbers for every command. */
export const EXIT: {
  readonly ok: 0;
  readonly failure: 1;
  readonly usage: 2;
  /** A check found something: late, stale, not ready. */
  readonly unhealthy: 3;
  /** Reserved: what the command needs over a network cannot be reached. */
  readonly unreachable: 4;
  /** Bytes on disk are not what was written. */
  readonly corrupt: 5;
  /** Ended by a signal from the keyboard. */
  readonly interrupted: 130;
} = { ok: 0, failure: 1, usage: 2, unhealthy: 3, unreachable: 4, corrupt: 5, interrupted: 130 };

/** One of {@link EXIT}. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
