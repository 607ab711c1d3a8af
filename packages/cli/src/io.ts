/** A stream a command writes to. */
export interface CliStream {
  /** False: wait for {@link CliStream.drained}. */
  write(text: string): boolean;
  /** Whether somebody looks at it. */
  readonly isTTY: boolean;
  readonly columns?: number;
  /** Resolves once there is room again. */
  drained(): Promise<void>;
}

/** What a command knows of the world: everything but the file system, so that a test can give its own. */
export interface CliIo {
  /** Results, and nothing else. */
  readonly stdout: CliStream;
  /** Everything else. */
  readonly stderr: CliStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where relative paths begin. */
  readonly cwd: string;
  /** Wall clock, Unix milliseconds. */
  readonly now: () => number;
  /** Aborted when somebody wants the command to end. */
  readonly signal: AbortSignal;
  /** Asks for a yes on a terminal; `undefined` where there is none to ask. */
  readonly confirm?: (question: string) => Promise<boolean>;
  /** The terminal a progress bar may be drawn on, if there is one. */
  readonly terminal?: NodeJS.WriteStream;
}
