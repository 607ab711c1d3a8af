import type { ConnectionSettings } from "./clients.ts";
import type { Argument, Connection, Connector } from "./connection.ts";
import { ConnectionLostError, isUnauthorized, textOf } from "./errors.ts";
import { jitteredMs, monotonicMs, setTimer } from "./platform.ts";

const RETRY_FIRST_MS = 25;
const RETRY_MAX_MS = 2_000;

interface Pending {
  readonly settle: (outcome: { readonly reply: unknown } | { readonly error: unknown }) => void;
  /** How long the server may think about it. */
  readonly allowanceMs: number;
}

/** Keeps one connection up, for ever: one that ends or goes silent is thrown away and a new one is opened. */
export class Supervisor {
  /** Connections that were up, counted: whoever reads a stream looks again where it stands when it changes. */
  life: number = 0;
  /** Why the last connection ended or could not be opened. */
  failure: unknown;
  readonly #connector: Connector;
  readonly #settings: ConnectionSettings;
  readonly #onChange: () => void;
  readonly #pending: Set<Pending> = new Set();
  readonly #waiting: Set<() => void> = new Set();
  #connection: Connection | undefined;
  #up: boolean = false;
  #attempt: number = 0;
  #heardMs: number = 0;
  #upMs: number = 0;
  #watchdog: (() => void) | undefined;
  #cancelRetry: (() => void) | undefined;
  #closed: boolean = false;

  constructor(connector: Connector, settings: ConnectionSettings, onChange: () => void) {
    this.#connector = connector;
    this.#settings = settings;
    this.#onChange = onChange;
    this.#open();
  }

  get closed(): boolean {
    return this.#closed;
  }

  get up(): boolean {
    return this.#up;
  }

  /** Whether an attempt failed since the last connection was up. */
  get failing(): boolean {
    return !this.#up && this.failure !== undefined;
  }

  get unauthorized(): boolean {
    return this.failing && isUnauthorized(this.failure);
  }

  /** Resolves once a connection is up, or the supervisor closed, or the signal aborted: look again. */
  wait(signal?: AbortSignal): Promise<void> {
    if (this.#up || this.#closed || signal?.aborted === true) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        this.#waiting.delete(done);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      this.#waiting.add(done);
      signal?.addEventListener("abort", done, { once: true });
    });
  }

  /**
   * Sends a command. It settles in bounded time whatever the client does with it.
   *
   * @throws `ConnectionLostError` if nobody knows what became of it; errors of the server are passed on.
   */
  call(args: readonly Argument[], keyAt: number = 1, allowanceMs: number = 0): Promise<unknown> {
    return this.#send((connection) => connection.call(args, keyAt), allowanceMs);
  }

  /** Sends a command without a key to every primary. @throws As {@link Supervisor.call} */
  everywhere(args: readonly string[]): Promise<unknown[]> {
    return this.#send((connection) => connection.everywhere(args), 0) as Promise<unknown[]>;
  }

  #send(send: (connection: Connection) => Promise<unknown>, allowanceMs: number): Promise<unknown> {
    const connection = this.#connection;
    if (!this.#up || connection === undefined) {
      return Promise.reject(
        new ConnectionLostError(`Not connected: ${textOf(this.failure ?? "connecting")}`, { sent: false }),
      );
    }
    return new Promise((resolve, reject) => {
      const pending: Pending = {
        allowanceMs,
        settle: (outcome) => {
          if (!this.#pending.delete(pending)) return;
          if ("reply" in outcome) resolve(outcome.reply);
          else reject(outcome.error);
        },
      };
      if (this.#pending.size === 0) this.#heardMs = monotonicMs();
      this.#pending.add(pending);
      send(connection).then(
        (reply) => {
          this.#heard(connection);
          pending.settle({ reply });
        },
        (error: unknown) => {
          this.#heard(connection);
          pending.settle({ error });
        },
      );
      this.#watch();
    });
  }

  /** Throws this connection away, and opens another. */
  replace(why: string): void {
    if (this.#connection !== undefined && this.#up)
      this.#lost(this.#connection, new ConnectionLostError(why, { sent: true }));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelRetry?.();
    this.#drop(new ConnectionLostError("It was closed", { sent: true }));
    for (const done of [...this.#waiting]) done();
  }

  #open(): void {
    if (this.#closed) return;
    let last: unknown;
    let connection: Connection | undefined;
    const lost = (error: unknown): void => {
      if (connection !== undefined) this.#lost(connection, error);
    };
    try {
      connection = this.#connector.open({
        failed: (error) => (last = error),
        ended: () => lost(last ?? new ConnectionLostError("The connection was closed", { sent: true })),
      });
    } catch (error) {
      this.#retry(error);
      return;
    }
    const opened = connection;
    this.#connection = opened;
    const cancel = setTimer(this.#settings.connectTimeoutMs, () =>
      lost(
        last ??
          new ConnectionLostError(`No connection after ${this.#settings.connectTimeoutMs} ms`, {
            sent: false,
          }),
      ),
    );
    opened.ready.then(
      () => {
        cancel();
        if (this.#connection !== opened) return;
        this.#up = true;
        this.#upMs = monotonicMs();
        this.life += 1;
        this.failure = undefined;
        for (const done of [...this.#waiting]) done();
        this.#onChange();
      },
      (error: unknown) => {
        cancel();
        lost(last ?? error);
      },
    );
  }

  #lost(connection: Connection, error: unknown): void {
    if (this.#connection !== connection || this.#closed) return;
    // One that comes up and fails at once is no progress.
    if (this.#up && monotonicMs() - this.#upMs > RETRY_MAX_MS) this.#attempt = 0;
    this.#drop(
      new ConnectionLostError(`The connection was lost: ${textOf(error)}`, { sent: true, cause: error }),
    );
    this.#retry(error);
  }

  #drop(error: ConnectionLostError): void {
    const connection = this.#connection;
    this.#connection = undefined;
    this.#up = false;
    this.#watchdog?.();
    this.#watchdog = undefined;
    connection?.destroy();
    for (const pending of [...this.#pending]) pending.settle({ error });
  }

  #retry(error: unknown): void {
    this.failure = error;
    const pauseMs = jitteredMs(this.#attempt, RETRY_FIRST_MS, RETRY_MAX_MS);
    this.#attempt += 1;
    this.#cancelRetry = setTimer(pauseMs, () => this.#open());
    this.#onChange();
  }

  #heard(connection: Connection): void {
    if (this.#connection === connection) this.#heardMs = monotonicMs();
  }

  /** A reply is progress for all: a slow link with a full window is not a dead one. */
  #watch(): void {
    if (this.#watchdog !== undefined) return;
    let allowanceMs = 0;
    for (const pending of this.#pending) allowanceMs = Math.max(allowanceMs, pending.allowanceMs);
    const limitMs = this.#settings.replyTimeoutMs + allowanceMs;
    const leftMs = Math.max(1, this.#heardMs + limitMs - monotonicMs());
    this.#watchdog = setTimer(leftMs, () => {
      this.#watchdog = undefined;
      if (this.#pending.size === 0 || this.#closed) return;
      if (monotonicMs() - this.#heardMs >= limitMs) this.replace(`no reply for ${limitMs} ms`);
      else this.#watch();
    });
  }
}
