import { SessionRefusal } from "./session-refusal.ts";

/** How many streams may be open. */
export interface StreamLimits {
  /** Of one client. */
  readonly streamsPerClientMax: number;
  /** In all. */
  readonly streamsMax: number;
}

/** Counts the open streams, in all and of each client. */
export class StreamCounts {
  readonly #limits: StreamLimits;
  readonly #ofClient = new Map<string, number>();
  #total = 0;

  constructor(limits: StreamLimits) {
    this.#limits = limits;
  }

  /** Streams that are open now. */
  get total(): number {
    return this.#total;
  }

  /**
   * Counts one more.
   *
   * @returns how to count it out again, once.
   * @throws {@link SessionRefusal} `CLIENT_STREAMS_MAX`, else `STREAMS_MAX`.
   */
  enter(client: string): () => void {
    const { streamsPerClientMax, streamsMax } = this.#limits;
    const count = this.#ofClient.get(client) ?? 0;
    if (count >= streamsPerClientMax)
      throw new SessionRefusal(
        "CLIENT_STREAMS_MAX",
        `Cannot open a stream: ${count} of this client are open`,
      );
    if (this.#total >= streamsMax)
      throw new SessionRefusal("STREAMS_MAX", `Cannot open a stream: ${this.#total} are open`);
    this.#ofClient.set(client, count + 1);
    this.#total++;
    return () => {
      this.#total--;
      const rest = this.#ofClient.get(client)! - 1;
      // A client that has none left takes no memory.
      if (rest === 0) this.#ofClient.delete(client);
      else this.#ofClient.set(client, rest);
    };
  }
}
