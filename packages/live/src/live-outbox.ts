import { LiveError } from "./errors.ts";
import type { LiveEvent, LivePayload } from "./live-event.ts";
import type { LiveReplayStore } from "./replay-store.ts";

/** What an outbox needs. */
export interface LiveOutboxOptions {
  readonly session: string;
  readonly store: LiveReplayStore;
  /** Events that wait or are under way; one more is dropped. */
  readonly appendsMax: number;
  /** The durable revision. */
  readonly loadRevision: () => Promise<number>;
  readonly report: (error: unknown) => void;
}

interface Waiting {
  readonly payload: LivePayload;
  readonly revision: number | undefined;
  readonly settle: (event: LiveEvent | undefined) => void;
}

/** Appends the events of one session in the order they are given, under the revision that is current. */
export class LiveOutbox {
  readonly #options: LiveOutboxOptions;
  /** The newest that is known; the first event waits until one is. */
  #revision: number | undefined;
  #waiting: Waiting[] = [];
  #underWay = 0;

  constructor(options: LiveOutboxOptions) {
    this.#options = options;
  }

  get isIdle(): boolean {
    return this.#underWay === 0 && this.#waiting.length === 0;
  }

  get revision(): number | undefined {
    return this.#revision;
  }

  /** Hears of a revision; an older one than is known changes nothing. */
  reached(revision: number): void {
    this.#revision = Math.max(revision, this.#revision ?? 0);
  }

  /**
   * Appends an event, now or behind those that wait. Resolves with nothing if that failed, which was reported.
   *
   * @param of - The revision it belongs to. @defaultValue the current one
   */
  put(payload: LivePayload, of?: number): Promise<LiveEvent | undefined> {
    const { session, appendsMax, report } = this.#options;
    if (this.#underWay + this.#waiting.length >= appendsMax) {
      report(
        new LiveError(
          "STORE_UNAVAILABLE",
          `Cannot append to session ${session}: ${appendsMax} events are under way`,
        ),
      );
      return Promise.resolve(undefined);
    }
    const revision = of ?? this.#revision;
    if (revision !== undefined && this.#waiting.length === 0) return this.#append(payload, revision);
    return new Promise((settle) => {
      this.#waiting.push({ payload, revision: of, settle });
      if (this.#waiting.length === 1) void this.#load();
    });
  }

  /** Looks what is current, and appends what waits for it. */
  async #load(): Promise<void> {
    try {
      this.reached(await this.#options.loadRevision());
    } catch (error) {
      this.#options.report(error);
    }
    for (const { payload, settle, revision = this.#revision } of this.#waiting.splice(0)) {
      if (revision === undefined) settle(undefined);
      else void this.#append(payload, revision).then(settle);
    }
  }

  async #append(payload: LivePayload, revision: number): Promise<LiveEvent | undefined> {
    const { store, session, report } = this.#options;
    this.#underWay += 1;
    try {
      return await store.append(session, revision, payload);
    } catch (error) {
      report(error);
      return undefined;
    } finally {
      this.#underWay -= 1;
    }
  }
}
