import { KvError } from "@tidemark/kv";
import {
  jitteredMs,
  monotonicMs,
  setTimer,
  textOf,
  type Argument,
  type Supervisor,
} from "@tidemark/redis-connection";
import { isMissingScript, kvErrorOf, verdictOf } from "./errors.ts";
import type { RedisKvLimits } from "./options.ts";
import type { Script } from "./scripts.ts";

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

/** Calls the server, again where that is safe, for as long as a call may take. */
export class Caller {
  readonly #supervisor: Supervisor;
  readonly #limits: RedisKvLimits;

  constructor(supervisor: Supervisor, limits: RedisKvLimits) {
    this.#supervisor = supervisor;
    this.#limits = limits;
  }

  /** @throws `KvError` for what the server says. */
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

  /** @throws `KvError` for what the server says. */
  command(call: ServerCall, args: readonly Argument[]): Promise<unknown> {
    return this.#tried(call, () => this.#supervisor.call(args));
  }

  async #tried(call: ServerCall, send: () => Promise<unknown>): Promise<unknown> {
    const deadlineMs = monotonicMs() + this.#limits.timeoutMs;
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
          throw kvErrorOf(error, call.doing);
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
    throw new KvError("KV_UNAVAILABLE", `Cannot ${doing}: no connection, ${textOf(supervisor.failure)}`, {
      committed: "no",
      cause: supervisor.failure,
    });
  }
}
