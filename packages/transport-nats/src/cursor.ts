import { AckPolicy, DeliverPolicy, JetStreamApiError } from "@nats-io/jetstream";
import type { StreamInfo } from "@nats-io/jetstream";
import { createInbox, nanos, nuid } from "@nats-io/nats-core";
import type { Msg, NatsConnection } from "@nats-io/nats-core";
import type { Connection } from "./connection.ts";
import type { DeliveryQueue } from "./delivery-queue.ts";
import type { Settings } from "./options.ts";
import { Assembler } from "./parts.ts";
import { backoffMs, orAbort, pause } from "./platform.ts";
import type { NatsPlatform } from "./platform.ts";
import type { Streams } from "./streams.ts";
import type { Troubles } from "./troubles.ts";

const STREAM_NOT_FOUND = 10059;
/** After so many silent heartbeats the reader is built anew. */
const MISSED_MAX = 3;
/** The broker removes a reader that nobody hears. */
const INACTIVE_MS = 30_000;

/** What a {@link Cursor} reads, and where to. */
export interface CursorOptions {
  readonly subject: string;
  /** As the broker calls it. */
  readonly stored: string;
  readonly stream: string;
  /** A position given out earlier. */
  readonly from: string | undefined;
  readonly queue: DeliveryQueue;
  readonly connection: Connection;
  readonly streams: Streams;
  readonly settings: Settings;
  readonly troubles: Troubles;
  readonly platform: NatsPlatform;
  /** Aborted once the subscription is closed. */
  readonly signal: AbortSignal;
}

/** A place in one making of a stream: one that was deleted and made again counts from 1. */
interface Place {
  readonly created: string;
  readonly seq: number;
}

/** Why a reader ended. */
type Ending = "lost" | "full";

/**
 * Reads the numbered frames of a subject by its own count.
 *
 * The broker keeps no position for it: a reader is an ordered consumer without acknowledgements, made at the
 * place after the last frame that was delivered, and made again there whenever it falls silent, skips or is gone.
 */
export class Cursor {
  readonly #options: CursorOptions;
  readonly #about: string;
  #place: Place | undefined;
  /** Begin with the oldest frame of whatever is found: nobody could tell us what came before. */
  #fromFirst: boolean = false;

  constructor(options: CursorOptions) {
    this.#options = options;
    this.#about = `${options.stored} ${nuid.next()}`;
  }

  /** Resolves once frames stored from then on will be read, be it after the broker came back. */
  open(): Promise<void> {
    return new Promise((resolve) => {
      // Without a broker there is no "now" to begin at: what it will have is read from its beginning.
      if (this.#options.connection.live === undefined) {
        this.#fromFirst = true;
        resolve();
      }
      void this.#run(resolve).finally(resolve);
    });
  }

  async #run(attempted: () => void): Promise<void> {
    const { connection, platform, settings, signal, troubles } = this.#options;
    for (let attempt = 0; !signal.aborted; attempt++) {
      try {
        const live = await connection.ready(signal);
        const ending = await this.#read(live, () => {
          attempt = 0;
          troubles.clear(this.#about);
          attempted();
        });
        if (ending === "full") await this.#room();
        if (attempt === 0) continue;
      } catch (error) {
        if (signal.aborted) break;
        if (this.#place === undefined) this.#fromFirst = true;
        attempted();
        troubles.set(this.#about, this.#reasonOf(error));
      }
      await pause(platform, backoffMs(platform, attempt, 50, settings.retryMsMax), signal);
    }
    troubles.clear(this.#about);
  }

  async #read(live: NatsConnection, opened: () => void): Promise<Ending> {
    const { streams, subject, stored, stream, settings, signal } = this.#options;
    const info = await orAbort(streams.look(live, subject, stream), signal);
    const place = (this.#place = this.#placeIn(info));
    const manager = await streams.manager(live, subject);
    const deliver = createInbox(settings.inboxPrefix);
    const name = nuid.next();
    const reader = this.#follow(live, deliver);
    try {
      const adding = manager.consumers.add(stream, {
        name,
        deliver_subject: deliver,
        deliver_policy: DeliverPolicy.StartSequence,
        opt_start_seq: place.seq + 1,
        ack_policy: AckPolicy.None,
        max_deliver: 1,
        filter_subject: stored,
        idle_heartbeat: nanos(settings.heartbeatMs),
        flow_control: true,
        inactive_threshold: nanos(INACTIVE_MS),
        mem_storage: true,
        num_replicas: 1,
      });
      await orAbort(adding, signal);
      opened();
      return await reader.ending;
    } finally {
      reader.stop();
      // Nobody waits for the answer: the broker removes an idle reader by itself.
      if (!live.isClosed()) live.publish(`${streams.apiOf(subject)}.CONSUMER.DELETE.${stream}.${name}`);
    }
  }

  /** Where to go on in the stream as it is now. */
  #placeIn({ created, state }: StreamInfo): Place {
    const { from } = this.#options;
    const before = this.#place ?? (from === undefined ? undefined : placeOf(from));
    // Another making of the stream, or one that lost its end: all it has is new, or a repeat that does no harm.
    if (before !== undefined && before.created !== created) return { created, seq: 0 };
    if (before !== undefined) return { created, seq: before.seq > state.last_seq ? 0 : before.seq };
    return { created, seq: this.#fromFirst ? 0 : state.last_seq };
  }

  #follow(live: NatsConnection, deliver: string): { readonly ending: Promise<Ending>; stop(): void } {
    const { platform, settings, signal, queue, connection } = this.#options;
    const assembler = new Assembler(settings.frameBytesMax);
    let [delivered, missed, stopped] = [0, 0, false];
    let end: (ending: Ending) => void = () => undefined;
    let fail: (reason: unknown) => void = () => undefined;
    const ending = new Promise<Ending>((resolve, reject) => ([end, fail] = [resolve, reject]));
    ending.catch(() => undefined);
    let cancel: () => void = () => undefined;
    const watch = (): void => {
      cancel = platform.setTimer(settings.heartbeatMs, () => {
        if (++missed >= MISSED_MAX) end("lost");
        else watch();
      });
    };
    const hear = (message: Msg): void => {
      missed = 0;
      const code = message.headers?.code ?? 0;
      if (code === 100) {
        if (message.reply !== undefined && message.reply !== "") message.respond();
        const stalled = message.headers?.get("Nats-Consumer-Stalled") ?? "";
        if (stalled !== "") live.publish(stalled);
        const last = message.headers?.get("Nats-Last-Consumer") ?? "";
        if (last !== "" && Number(last) !== delivered) end("lost");
        return;
      }
      const count = countsOf(message.reply);
      if (code !== 0 || count === undefined || count.delivered !== delivered + 1) {
        end("lost");
        return;
      }
      delivered = count.delivered;
      const frame = assembler.add(message);
      if (frame === undefined) return;
      const created = this.#place!.created;
      if (queue.push({ frame, position: `${created} ${count.seq}` }))
        this.#place = { created, seq: count.seq };
      else end("full");
    };
    const subscription = live.subscribe(deliver, {
      callback: (error, message) => {
        if (stopped) return;
        if (error !== null) fail(error);
        else hear(message);
      },
    });
    const abort = (): void => fail(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    const stopHearing = connection.onReconnect(() => end("lost"));
    watch();
    void ending.then(
      () => (stopped = true),
      () => (stopped = true),
    );
    return {
      ending,
      stop: () => {
        stopped = true;
        cancel();
        stopHearing();
        signal.removeEventListener("abort", abort);
        if (!live.isClosed()) subscription.unsubscribe();
      },
    };
  }

  /** Waits until the reader of a full queue has taken some of it; the stream keeps the rest. */
  #room(): Promise<void> {
    const { queue, signal } = this.#options;
    return new Promise((resolve) => {
      const end = (): void => {
        queue.onRoom = undefined;
        signal.removeEventListener("abort", end);
        resolve();
      };
      queue.onRoom = end;
      signal.addEventListener("abort", end, { once: true });
      if (signal.aborted || !queue.full) end();
    });
  }

  #reasonOf(error: unknown): string {
    const { stream, stored } = this.#options;
    if (error instanceof JetStreamApiError && error.code === STREAM_NOT_FOUND) return `No stream ${stream}`;
    return `Cannot read ${stored}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** A position is `<when the stream was made> <sequence>`; anything else is none. */
function placeOf(position: string): Place | undefined {
  const found = /^(\d{4}-\d\d-\d\dT\S{1,40}) (\d{1,15})$/.exec(position);
  return found === null ? undefined : { created: found[1]!, seq: Number(found[2]) };
}

/** Counts of a delivery, from its reply subject: 9 tokens, or 11 and more with a domain and an account. */
function countsOf(
  reply: string | undefined,
): { readonly delivered: number; readonly seq: number } | undefined {
  const tokens = (reply ?? "").split(".");
  if (tokens[0] !== "$JS" || tokens[1] !== "ACK" || tokens.length < 9) return undefined;
  const at = tokens.length === 9 ? 4 : 6;
  const [seq, delivered] = [Number(tokens[at + 1]), Number(tokens[at + 2])];
  return Number.isSafeInteger(seq) && Number.isSafeInteger(delivered) ? { seq, delivered } : undefined;
}
