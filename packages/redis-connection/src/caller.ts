import type { Argument } from "./connection.ts";
import { ConnectionLostError, textOf } from "./errors.ts";
import { jitteredMs, monotonicMs, setTimer } from "./platform.ts";
import type { Script } from "./script.ts";
import type { Supervisor } from "./supervisor.ts";
import { isMissingScript, verdictOf } from "./verdict.ts";

const RETRY_FIRST_MS = 10;
const RETRY_MAX_MS = 250;

/** One call of the server. */
export interface ServerCall {
  /** What it does, for messages. */
  readonly doing: string;
  /** Whether it may run twice: what may not is sent again only if it is known that it was not run. */
  readonly repeatable: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** How a {@link Caller} calls. */
export interface CallerOptions {
  /** How long a call waits for a connection, and how long what may run twice is tried again. */
  readonly timeoutMs: number;
  /** What a call that failed rejects with. */
  readonly errorOf: (error: unknown, doing: string) => Error;
}

/** Calls the server, again where that is safe, for as long as a call may take. */
export class Caller {
  readonly #supervisor: Supervisor;
  readonly #options: CallerOptions;

  constructor(supervisor: Supervisor, options: CallerOptions) {
    this.#supervisor = supervisor;
    this.#options = options;
  }

  /** Runs a script, which a server that does not know it is told. @throws as `errorOf` says. */
  script(
    call: ServerCall,
    script: Script,
    keys: readonly string[],
    args: readonly Argument[],
  ): Promise<unknown> {
    const rest = [`${keys.length}`, ...keys, ...args];
    return this.#tried(call, () =>
      this.#supervisor.call(["EVALSHA", script.sha, ...rest], 3).catch((error: unknown) => {
        // A server that restarted, a node that took the slot over: it was not run.
        if (!isMissingScript(error)) throw error;
        return this.#supervisor.call(["EVAL", script.text, ...rest], 3);
      }),
    );
  }

  /** Sends a command. @throws as `errorOf` says. */
  command(call: ServerCall, args: readonly Argument[]): Promise<unknown> {
    return this.#tried(call, () => this.#supervisor.call(args));
  }

  async #tried(call: ServerCall, send: () => Promise<unknown>): Promise<unknown> {
    const deadlineMs = monotonicMs() + this.#options.timeoutMs;
    for (let attempt = 0; ; attempt++) {
      await this.#connected(call, deadlineMs);
      call.signal?.throwIfAborted();
      try {
        return await send();
      } catch (error) {
        const verdict = verdictOf(error);
        if (verdict === "elsewhere") this.#supervisor.replace(textOf(error));
        const safe =
          verdict === "again" || verdict === "elsewhere" || (verdict === "unknown" && call.repeatable);
        const pauseMs = jitteredMs(attempt, RETRY_FIRST_MS, RETRY_MAX_MS);
        if (!safe || call.signal?.aborted === true || monotonicMs() + pauseMs > deadlineMs)
          throw this.#options.errorOf(error, call.doing);
        await new Promise<void>((resolve) => setTimer(pauseMs, resolve));
      }
    }
  }

  /** Waits for a connection until the deadline. */
  async #connected({ doing, signal }: ServerCall, deadlineMs: number): Promise<void> {
    const supervisor = this.#supervisor;
    if (supervisor.up) return;
    const over = new AbortController();
    const cancel = setTimer(Math.max(0, deadlineMs - monotonicMs()), () => over.abort());
    await supervisor.wait(signal === undefined ? over.signal : AbortSignal.any([signal, over.signal]));
    cancel();
    if (supervisor.up) return;
    const { failure } = supervisor;
    const lost = new ConnectionLostError(`no connection, ${textOf(failure)}`, {
      sent: false,
      cause: failure,
    });
    throw this.#options.errorOf(lost, doing);
  }
}
