import { JetStreamApiError } from "@nats-io/jetstream";
import { headers } from "@nats-io/nats-core";
import type { NatsConnection } from "@nats-io/nats-core";
import { TransportError } from "@tidemark/transport";
import type { FrameSequence } from "@tidemark/transport";
import type { Answer } from "./answer.ts";
import type { Connection } from "./connection.ts";
import { compareSequences, markOf, messageIdOf } from "./mark.ts";
import type { Tail } from "./mark.ts";
import type { Settings } from "./options.ts";
import { headersOf, partsOf } from "./parts.ts";
import type { Part } from "./parts.ts";
import { backoffMs, orAbort, pause } from "./platform.ts";
import type { NatsPlatform } from "./platform.ts";
import type { StreamWindow } from "./stream-window.ts";
import { StreamMismatchError } from "./streams.ts";
import type { Streams } from "./streams.ts";
import { Trimming } from "./trimming.ts";
import type { Troubles } from "./troubles.ts";

const MESSAGE_ID = "Nats-Msg-Id";
const EXPECTED_SEQUENCE = "Nats-Expected-Last-Subject-Sequence";
const NO_MESSAGE = 10037;
const WRONG_LAST_MESSAGE_ID = 10070;
const WRONG_LAST_SEQUENCE = 10071;

/** What a lane is made of. */
export interface LaneOptions {
  readonly subject: string;
  /** Its name on the broker. */
  readonly stored: string;
  readonly stream: string;
  readonly window: StreamWindow;
  readonly connection: Connection;
  readonly streams: Streams;
  readonly settings: Settings;
  readonly troubles: Troubles;
  readonly platform: NatsPlatform;
  readonly closing: AbortSignal;
}

/** A frame on its way into the stream. */
export interface Job {
  readonly frame: Uint8Array;
  readonly sequence: FrameSequence;
  /** Set once nobody waits for it any more: what was not sent by then never is. */
  abandoned: boolean;
  stored(): void;
  failed(error: TransportError): void;
}

/** A frame of which messages were sent, or are next. */
interface Flight {
  readonly job: Job;
  readonly parts: readonly Part[];
  /** Parts that need not be sent any more. */
  sent: number;
  stored: number;
}

/**
 * Numbered frames of one subject: in the stream they are in the order they were published in, and each once.
 *
 * Several are under way at a time, as far as the stream's window admits. The first names the sequence of the subject's last
 * message; those behind it are chained to it by the window. When one is refused, or the broker is silent, the lane waits
 * until all of its own are answered, reads what the stream's last message of the subject is, and goes on behind it: what
 * it has is stored, the rest is sent again under the same ids.
 */
export class Lane {
  readonly #options: LaneOptions;
  readonly #trimming: Trimming;
  #waiting: Job[] = [];
  /** In the order of the subject; only the last may have parts that were not sent. */
  #flights: Flight[] = [];
  #unanswered: number = 0;
  #tail: Tail | undefined;
  /** What was answered first of what kept a frame out: `"again"` if only our idea of the stream was wrong. */
  #trouble: string | undefined;
  #attempt: number = 0;
  #preparing: boolean = false;

  constructor(options: LaneOptions) {
    this.#options = options;
    this.#trimming = new Trimming(options, {
      tail: async (live) => this.#tail ?? (await this.#readTail(live)),
      emptied: (seq) => {
        // Nothing is the subject's last message from now on. Who wrote it stays known.
        if (this.#tail?.seq === seq) this.#tail = { ...this.#tail, seq: 0 };
      },
    });
  }

  /** False if as many wait already as may. */
  publish(job: Job): boolean {
    if (this.#full()) return false;
    this.#waiting.push(job);
    this.#pump();
    return true;
  }

  /** Trims what is no longer needed, as far as it is known where that ends. Never rejects. */
  release(sequence: FrameSequence): void {
    this.#trimming.release(sequence);
  }

  #full(): boolean {
    const max = this.#options.settings.publishQueueMax;
    if (this.#waiting.length + this.#flights.length < max) return false;
    this.#waiting = this.#waiting.filter(({ abandoned }) => !abandoned);
    const wanted = this.#flights.filter(({ job }) => !job.abandoned);
    return this.#waiting.length + wanted.length >= max;
  }

  /** Sends what may be sent. */
  readonly #pump = (): void => {
    const { connection, window, closing } = this.#options;
    while (!this.#preparing && this.#trouble === undefined && !closing.aborted) {
      const flight = this.#next();
      if (flight === undefined) return;
      const follows = this.#unanswered > 0;
      const live = connection.live;
      if (live === undefined || (!follows && this.#tail === undefined)) {
        // What is under way is answered first, or given up.
        if (!follows) void this.#prepare();
        return;
      }
      const part = flight.parts[flight.sent]!;
      if (!window.admits(this.#options.stored, part.bytes.length, follows, this.#pump)) return;
      this.#send(live, flight, part, follows);
    }
  };

  /** The frame that is sent next, begun if the one before it was sent whole. */
  #next(): Flight | undefined {
    const last = this.#flights.at(-1);
    if (last !== undefined && last.sent < last.parts.length) {
      if (last.sent > 0 || !last.job.abandoned) return last;
      this.#flights.pop();
      return this.#next();
    }
    let job = this.#waiting[0];
    while (job?.abandoned === true) {
      this.#waiting.shift();
      job = this.#waiting[0];
    }
    if (job === undefined) return undefined;
    // A repeat of what is under way: the stream tells what became of that first.
    if (last !== undefined && compareSequences(last.job.sequence, job.sequence) >= 0) return undefined;
    const { connection, settings } = this.#options;
    const flight: Flight = {
      job,
      parts: partsOf(job.frame, connection.live?.info?.max_payload ?? settings.frameBytesMax),
      sent: 0,
      stored: 0,
    };
    if (last === undefined) {
      flight.sent = flight.stored = this.#storedPartsOf(flight);
    }
    this.#waiting.shift();
    if (flight.stored === flight.parts.length) {
      // The stream had it all the time: only the answer was lost.
      this.#attempt = 0;
      this.#options.troubles.clear(this.#options.stored);
      job.stored();
      return this.#next();
    }
    this.#flights.push(flight);
    return flight;
  }

  /** Of a repeat, whole or of as many parts as were stored. */
  #storedPartsOf({ job, parts }: Flight): number {
    const mark = this.#tail?.mark;
    if (mark === undefined) return 0;
    const order = compareSequences(mark, job.sequence);
    if (order < 0) return 0;
    if (order > 0 || mark.part === mark.parts - 1) return parts.length;
    return mark.parts === parts.length ? mark.part + 1 : 0;
  }

  #send(live: NatsConnection, flight: Flight, part: Part, follows: boolean): void {
    const { subject, stored, window } = this.#options;
    const { sequence } = flight.job;
    const id = messageIdOf(subject, sequence, part);
    const made = headersOf(part, `${sequence.epoch}-${sequence.last}`) ?? headers();
    made.set(MESSAGE_ID, id);
    if (!follows) made.set(EXPECTED_SEQUENCE, `${this.#tail!.seq}`);
    try {
      window.send(live, {
        subject: stored,
        id,
        bytes: part.bytes,
        headers: made,
        answered: (answer) => this.#answered(flight, part, answer),
      });
    } catch (error) {
      this.#trouble = textOf(error);
      if (!follows) void this.#prepare();
      return;
    }
    flight.sent += 1;
    this.#unanswered += 1;
  }

  #answered(flight: Flight, part: Part, answer: Answer): void {
    this.#unanswered -= 1;
    if (typeof answer === "object" && "seq" in answer) this.#stored(flight, part, answer);
    else this.#trouble ??= this.#troubleOf(answer);
    if (this.#unanswered === 0 && this.#trouble !== undefined) void this.#prepare();
    else this.#pump();
  }

  #stored(flight: Flight, part: Part, { seq, repeat }: { seq: number; repeat: boolean }): void {
    const { stored, troubles } = this.#options;
    const { job } = flight;
    // Where a repeat was stored says nothing about which message is the last.
    if (repeat) this.#tail = undefined;
    else if (seq > (this.#tail?.seq ?? 0)) {
      this.#tail = { seq, mark: { ...job.sequence, part: part.index, parts: part.count } };
    }
    flight.stored += 1;
    if (flight.stored < flight.parts.length) return;
    this.#attempt = 0;
    troubles.clear(stored);
    if (this.#flights[0] === flight) this.#flights.shift();
    else this.#flights = this.#flights.filter((other) => other !== flight);
    this.#trimming.stored(job.sequence, seq);
    job.stored();
  }

  #troubleOf(answer: Exclude<Answer, { seq: number }>): string {
    const { stream, streams } = this.#options;
    if (answer === "silent") return "the broker does not answer";
    if (answer === "nobody") {
      streams.forget(stream);
      return `no stream ${stream}`;
    }
    const misjudged = answer.code === WRONG_LAST_SEQUENCE || answer.code === WRONG_LAST_MESSAGE_ID;
    return misjudged ? "again" : answer.description;
  }

  /**
   * Reads where the subject ends, with nothing under way, and sends again what is not known to be stored.
   *
   * Tries for ever: an answer that does not come means that the outcome is unknown, never that it failed.
   */
  async #prepare(): Promise<void> {
    const { connection, streams, subject, stream, closing } = this.#options;
    this.#preparing = true;
    this.#tail = undefined;
    this.#waiting.unshift(...this.#flights.map(({ job }) => job));
    this.#flights = [];
    for (;;) {
      if (this.#trouble !== undefined) await this.#rest(this.#trouble);
      this.#trouble = undefined;
      this.#waiting = this.#waiting.filter(({ abandoned }) => !abandoned);
      if (closing.aborted || this.#waiting.length === 0) break;
      try {
        const live = await connection.ready(closing);
        await orAbort(streams.ensure(live, subject, stream), closing);
        this.#tail = await orAbort(this.#readTail(live), closing);
        break;
      } catch (error) {
        if (closing.aborted) break;
        if (error instanceof StreamMismatchError) {
          const failed = new TransportError("PUBLISH_FAILED", error.message, { cause: error });
          this.#waiting.shift()?.failed(failed);
        } else this.#trouble = textOf(error);
      }
    }
    this.#preparing = false;
    this.#pump();
  }

  /** Waits longer each time, not at all the first time that only our idea of the stream was wrong. */
  async #rest(trouble: string): Promise<void> {
    const { stored, troubles, platform, settings, closing } = this.#options;
    const attempt = this.#attempt++;
    if (trouble !== "again") troubles.set(stored, `${stored}: ${trouble}`);
    else if (attempt === 0) return;
    await pause(platform, backoffMs(platform, attempt, 50, settings.retryMsMax), closing);
  }

  async #readTail(live: NatsConnection): Promise<Tail> {
    const { stored, stream, streams, subject } = this.#options;
    const manager = await streams.manager(live, subject);
    try {
      const message = await manager.streams.getMessage(stream, { last_by_subj: stored });
      if (message === null) return { seq: 0 };
      const mark = markOf(message.header.get(MESSAGE_ID));
      return mark === undefined ? { seq: message.seq } : { seq: message.seq, mark };
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === NO_MESSAGE) return { seq: 0 };
      streams.forget(stream);
      throw error;
    }
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
