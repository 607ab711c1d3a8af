import { AckPolicy, DeliverPolicy } from "@nats-io/jetstream";
import type { JetStreamManager } from "@nats-io/jetstream";
import { createInbox, nanos, nuid } from "@nats-io/nats-core";
import type { Msg, NatsConnection, Subscription } from "@nats-io/nats-core";

/** After so many silent heartbeats a reader is over. */
const MISSED_MAX = 3;
/** The servers remove a reader that nobody hears. */
const INACTIVE_MS = 30_000;

/** A connection as the client makes it. */
type WithOptions = NatsConnection & { readonly options?: { readonly inboxPrefix?: string } };

/** What a {@link PushReader} reads, and where to. */
export interface PushReaderOptions {
  readonly connection: NatsConnection;
  readonly manager: JetStreamManager;
  readonly stream: string;
  readonly subject: string;
  /** The first sequence of the stream that is wanted. */
  readonly from: number;
  readonly heartbeatMs: number;
  /** Handed each message once, in order. What it throws ends the reader. */
  readonly take: (message: Msg, sequence: number) => void;
}

/**
 * One consumer without acknowledgements that pushes the messages of a subject. It is over when it was stopped, when it skips, or
 * when it falls silent: whoever wants more opens another behind the last message.
 */
export class PushReader {
  /** Resolves once it is over; rejects with what `take` or the connection met. */
  readonly ended: Promise<void>;
  readonly #options: PushReaderOptions;
  readonly #name: string = nuid.next();
  readonly #inbox: string;
  readonly #subscription: Subscription;
  #end: () => void = () => undefined;
  #fail: (error: unknown) => void = () => undefined;
  #delivered: number = 0;
  #missed: number = 0;
  #timer: ReturnType<typeof globalThis.setTimeout> | undefined;
  #stopped: boolean = false;

  constructor(options: PushReaderOptions) {
    this.#options = options;
    const { connection } = options;
    this.ended = new Promise((resolve, reject) => ([this.#end, this.#fail] = [resolve, reject]));
    this.ended.catch(() => undefined);
    this.#inbox = createInbox((connection as WithOptions).options?.inboxPrefix);
    this.#subscription = connection.subscribe(this.#inbox, {
      callback: (error, message) => {
        if (this.#stopped) return;
        if (error !== null) this.#over(error);
        else this.#hear(message);
      },
    });
    this.#watch();
  }

  /** Makes the consumer. */
  async open(): Promise<void> {
    const { manager, stream, subject, from, heartbeatMs } = this.#options;
    try {
      await manager.consumers.add(stream, {
        name: this.#name,
        deliver_subject: this.#inbox,
        deliver_policy: DeliverPolicy.StartSequence,
        opt_start_seq: Math.max(1, from),
        ack_policy: AckPolicy.None,
        max_deliver: 1,
        filter_subject: subject,
        idle_heartbeat: nanos(heartbeatMs),
        flow_control: true,
        inactive_threshold: nanos(INACTIVE_MS),
        mem_storage: true,
        num_replicas: 1,
      });
    } catch (error) {
      this.stop();
      throw error;
    }
  }

  stop(): void {
    this.#over(undefined);
  }

  #over(error: unknown): void {
    if (this.#stopped) return;
    this.#stopped = true;
    globalThis.clearTimeout(this.#timer);
    const { connection, stream } = this.#options;
    if (!connection.isClosed()) {
      this.#subscription.unsubscribe();
      // Nobody waits for the answer: the servers remove an idle reader by themselves.
      connection.publish(`$JS.API.CONSUMER.DELETE.${stream}.${this.#name}`);
    }
    if (error === undefined) this.#end();
    else this.#fail(error);
  }

  #watch(): void {
    this.#timer = globalThis.setTimeout(() => {
      this.#missed += 1;
      if (this.#missed >= MISSED_MAX) this.stop();
      else this.#watch();
    }, this.#options.heartbeatMs);
  }

  #hear(message: Msg): void {
    this.#missed = 0;
    const code = message.headers?.code ?? 0;
    if (code === 100) {
      if (message.reply !== undefined && message.reply !== "") message.respond();
      const stalled = message.headers?.get("Nats-Consumer-Stalled") ?? "";
      if (stalled !== "") this.#options.connection.publish(stalled);
      const last = message.headers?.get("Nats-Last-Consumer") ?? "";
      if (last !== "" && Number(last) !== this.#delivered) this.stop();
      return;
    }
    const count = countsOf(message.reply);
    if (code !== 0 || count === undefined || count.delivered !== this.#delivered + 1) {
      this.stop();
      return;
    }
    this.#delivered = count.delivered;
    try {
      this.#options.take(message, count.sequence);
    } catch (error) {
      this.#over(error);
    }
  }
}

/** Counts of a delivery, from its reply subject: 9 tokens, or 11 and more with a domain and an account. */
function countsOf(
  reply: string | undefined,
): { readonly delivered: number; readonly sequence: number } | undefined {
  const tokens = (reply ?? "").split(".");
  if (tokens[0] !== "$JS" || tokens[1] !== "ACK" || tokens.length < 9) return undefined;
  const at = tokens.length === 9 ? 4 : 6;
  const [sequence, delivered] = [Number(tokens[at + 1]), Number(tokens[at + 2])];
  return Number.isSafeInteger(sequence) && Number.isSafeInteger(delivered)
    ? { sequence, delivered }
    : undefined;
}
