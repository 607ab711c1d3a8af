import type { Timers } from "@tidemark/wal";

/** When an ack goes out: soon after the vector moved, at once when much of it did, and as a heartbeat. */
export class AckSchedule {
  readonly #timers: Timers;
  readonly #limits: {
    readonly ackDelayMs: number;
    readonly ackRecords: number;
    readonly heartbeatMs: number;
  };
  readonly #send: () => Promise<void>;
  #records: number = 0;
  #cancel: (() => void) | undefined;
  #soon: boolean = false;
  #sending: Promise<void> | undefined;
  #closed: boolean = false;
  #started: boolean = false;

  /** @param send - Sends one ack; it never rejects. */
  constructor(options: {
    readonly timers: Timers;
    readonly limits: {
      readonly ackDelayMs: number;
      readonly ackRecords: number;
      readonly heartbeatMs: number;
    };
    readonly send: () => Promise<void>;
  }) {
    this.#timers = options.timers;
    this.#limits = options.limits;
    this.#send = options.send;
  }

  /** Begins with an ack at once. */
  start(): void {
    this.#started = true;
    this.#flush();
  }

  /** Something but the vector changed that the others should hear of soon. */
  now(): void {
    if (!this.#started) return;
    this.#records += this.#limits.ackRecords;
    this.#flush();
  }

  /** The vector moved by so many records. */
  moved(records: number): void {
    if (this.#closed) return;
    this.#records += records;
    if (this.#records >= this.#limits.ackRecords) this.#flush();
    else if (!this.#soon && this.#sending === undefined) this.#arm(this.#limits.ackDelayMs, true);
  }

  /** Sends a last ack and no more after it. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancel?.();
    await this.#sending;
    await this.#send();
  }

  #flush(): void {
    // One ack is under way at a time; what moved meanwhile goes with the next.
    if (this.#sending !== undefined || this.#closed) return;
    this.#records = 0;
    this.#cancel?.();
    this.#cancel = undefined;
    this.#soon = false;
    this.#sending = this.#send().then(() => {
      this.#sending = undefined;
      if (this.#closed) return;
      if (this.#records >= this.#limits.ackRecords) this.#flush();
      else
        this.#arm(this.#records > 0 ? this.#limits.ackDelayMs : this.#limits.heartbeatMs, this.#records > 0);
    });
  }

  #arm(ms: number, soon: boolean): void {
    this.#cancel?.();
    this.#soon = soon;
    this.#cancel = this.#timers.setTimer(ms, () => this.#flush());
  }
}
