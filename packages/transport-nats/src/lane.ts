import { JetStreamApiError } from "@nats-io/jetstream";
import { headers } from "@nats-io/nats-core";
import type { NatsConnection } from "@nats-io/nats-core";
import { TransportError } from "@tidemark/transport";
import type { FrameSequence } from "@tidemark/transport";
import type { Connection } from "./connection.ts";
import { nobodyListens } from "./inbox.ts";
import type { Inbox } from "./inbox.ts";
import type { Settings } from "./options.ts";
import { headersOf, partsOf } from "./parts.ts";
import type { Part } from "./parts.ts";
import { backoffMs, orAbort, pause } from "./platform.ts";
import type { NatsPlatform } from "./platform.ts";
import { StreamMismatchError } from "./streams.ts";
import type { Streams } from "./streams.ts";
import type { Troubles } from "./troubles.ts";

const MESSAGE_ID = "Nats-Msg-Id";
const EXPECTED_SEQUENCE = "Nats-Expected-Last-Subject-Sequence";
const NO_MESSAGE = 10037;
const WRONG_LAST_SEQUENCE = 10071;
/** Places in the stream that are remembered for `release`. */
const MARKS_MAX = 1_024;

/** What all lanes share. */
export interface LaneOptions {
  readonly connection: Connection;
  readonly inbox: Inbox;
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
  /** Aborted once nobody waits for it any more. */
  readonly signal: AbortSignal;
  stored(): void;
  failed(error: TransportError): void;
}

/** A frame in the stream, by the id it was published under. */
interface Mark extends FrameSequence {
  readonly part: number;
  readonly parts: number;
}

/** The last message of the subject. */
interface Tail {
  readonly seq: number;
  readonly mark?: Mark;
}

/** What the broker answered to a message, or that it did not. */
type Answer =
  | { readonly seq: number }
  | { readonly code: number; readonly description: string }
  | "silent"
  | "nobody";

/** Numbered frames of one subject: one after the other, so that the stream holds them in their order and each once. */
export class Lane {
  readonly #subject: string;
  readonly #stored: string;
  readonly #stream: string;
  readonly #options: LaneOptions;
  readonly #jobs: Job[] = [];
  readonly #marks: { readonly sequence: FrameSequence; readonly seq: number }[] = [];
  #running: boolean = false;
  #tail: Tail | undefined;
  #releasing: boolean = false;
  #releaseNext: FrameSequence | undefined;

  constructor(subject: string, stored: string, stream: string, options: LaneOptions) {
    this.#subject = subject;
    this.#stored = stored;
    this.#stream = stream;
    this.#options = options;
  }

  /** False if as many wait already as may. */
  publish(job: Job): boolean {
    if (this.#jobs.length >= this.#options.settings.publishQueueMax) return false;
    this.#jobs.push(job);
    if (!this.#running) {
      this.#running = true;
      void this.#run();
    }
    return true;
  }

  /** Trims what is no longer needed, as far as it is known where that ends. Never rejects. */
  release(sequence: FrameSequence): void {
    if (this.#releaseNext === undefined || compare(sequence, this.#releaseNext) > 0)
      this.#releaseNext = sequence;
    if (this.#releasing) return;
    this.#releasing = true;
    void this.#trim();
  }

  async #run(): Promise<void> {
    for (let job = this.#jobs[0]; job !== undefined; job = this.#jobs[0]) {
      if (!job.signal.aborted) await this.#store(job);
      this.#jobs.shift();
    }
    this.#running = false;
  }

  /** Tries for ever: an answer that does not come means that the outcome is unknown, never that it failed. */
  async #store(job: Job): Promise<void> {
    const { connection, streams, troubles, platform, settings } = this.#options;
    for (let attempt = 0; !job.signal.aborted; attempt++) {
      try {
        const live = await connection.ready(job.signal);
        await orAbort(streams.ensure(live, this.#subject, this.#stream), job.signal);
        const trouble = await this.#put(live, job);
        if (trouble === undefined) {
          troubles.clear(this.#stored);
          job.stored();
          return;
        }
        if (trouble !== "again") troubles.set(this.#stored, `${this.#stored}: ${trouble}`);
        else if (attempt === 0) continue;
      } catch (error) {
        if (job.signal.aborted) return;
        if (error instanceof StreamMismatchError) {
          job.failed(new TransportError("PUBLISH_FAILED", error.message, { cause: error }));
          return;
        }
        this.#tail = undefined;
        troubles.set(
          this.#stored,
          `${this.#stored}: ${error instanceof Error ? error.message : String(error)}`,
        );
      }
      await pause(platform, backoffMs(platform, attempt, 50, settings.retryMsMax), job.signal);
    }
  }

  /** @returns what was in the way, `"again"` if only our idea of the stream was. */
  async #put(live: NatsConnection, job: Job): Promise<string | undefined> {
    const { streams, settings } = this.#options;
    const tail = (this.#tail ??= await orAbort(this.#readTail(live), job.signal));
    const parts = partsOf(job.frame, live.info?.max_payload ?? settings.frameBytesMax);
    let next = 0;
    if (tail.mark !== undefined) {
      const order = compare(tail.mark, job.sequence);
      if (order > 0) return undefined;
      // A repeat, whole or of as many parts as were stored.
      if (order === 0) next = tail.mark.parts === parts.length ? tail.mark.part + 1 : 0;
      if (order === 0 && tail.mark.part === tail.mark.parts - 1) next = parts.length;
    }
    for (const part of parts.slice(next)) {
      const answer = await this.#send(live, job, part, this.#tail.seq);
      if (answer === "silent") return "the broker does not answer";
      if (answer === "nobody") {
        streams.forget(this.#stream);
        this.#tail = undefined;
        return `no stream ${this.#stream}`;
      }
      if ("code" in answer) {
        this.#tail = undefined;
        return answer.code === WRONG_LAST_SEQUENCE ? "again" : answer.description;
      }
      this.#tail = {
        seq: answer.seq,
        mark: { ...job.sequence, part: part.index, parts: part.count },
      };
    }
    this.#marks.push({ sequence: job.sequence, seq: this.#tail.seq });
    if (this.#marks.length > MARKS_MAX) this.#marks.shift();
    return undefined;
  }

  #send(live: NatsConnection, job: Job, part: Part, expected: number): Promise<Answer> {
    const { inbox, platform, settings } = this.#options;
    const id = `${job.sequence.epoch}-${job.sequence.last}`;
    const made = headersOf(part, id) ?? headers();
    // The window of ids is the stream's, so that an id names the subject as well.
    made.set(MESSAGE_ID, `${this.#subject} ${id} ${part.index} ${part.count}`);
    made.set(EXPECTED_SEQUENCE, `${expected}`);
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        expecting.forget();
        cancel();
        job.signal.removeEventListener("abort", abort);
      };
      const abort = (): void => {
        settle();
        reject(job.signal.reason);
      };
      const expecting = inbox.expect((message) => {
        settle();
        resolve(nobodyListens(message) ? "nobody" : answerOf(message.string()));
      });
      const cancel = platform.setTimer(settings.ackTimeoutMs, () => {
        settle();
        resolve("silent");
      });
      job.signal.addEventListener("abort", abort, { once: true });
      try {
        live.publish(this.#stored, part.bytes, { headers: made, reply: expecting.reply });
      } catch (error) {
        settle();
        reject(error);
      }
    });
  }

  async #readTail(live: NatsConnection): Promise<Tail> {
    const manager = await this.#options.streams.manager(live, this.#subject);
    try {
      const message = await manager.streams.getMessage(this.#stream, { last_by_subj: this.#stored });
      if (message === null) return { seq: 0 };
      const mark = markOf(message.header.get(MESSAGE_ID));
      return mark === undefined ? { seq: message.seq } : { seq: message.seq, mark };
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === NO_MESSAGE) return { seq: 0 };
      this.#options.streams.forget(this.#stream);
      throw error;
    }
  }

  async #trim(): Promise<void> {
    const { connection, streams, closing } = this.#options;
    while (this.#releaseNext !== undefined && !closing.aborted) {
      const upTo = this.#releaseNext;
      this.#releaseNext = undefined;
      try {
        const live = connection.live;
        if (live === undefined) continue;
        if (this.#marks.length === 0 && this.#tail === undefined) this.#tail = await this.#readTail(live);
        const seq = this.#placeOf(upTo);
        if (seq === undefined) continue;
        const manager = await streams.manager(live, this.#subject);
        await manager.streams.purge(this.#stream, { filter: this.#stored, seq: seq + 1 });
        while (this.#marks[0] !== undefined && this.#marks[0].seq <= seq) this.#marks.shift();
      } catch {
        // A hint: what is not trimmed now is trimmed with the next one.
      }
    }
    this.#releasing = false;
  }

  /** Where the stream holds the last frame up to a number, as far as this process knows. */
  #placeOf(upTo: FrameSequence): number | undefined {
    const tail = this.#tail;
    if (tail?.mark !== undefined && tail.mark.part === tail.mark.parts - 1 && compare(tail.mark, upTo) <= 0) {
      return tail.seq;
    }
    return this.#marks.findLast(({ sequence }) => compare(sequence, upTo) <= 0)?.seq;
  }
}

/** Below 0 if the first comes first: an epoch replaces all lower ones. */
function compare(left: FrameSequence, right: FrameSequence): number {
  return left.epoch - right.epoch || left.last - right.last;
}

function markOf(id: string): Mark | undefined {
  const found = /^\S+ (\d+)-(\d+) (\d+) (\d+)$/.exec(id);
  if (found === null) return undefined;
  const [epoch, last, part, parts] = found.slice(1).map(Number);
  return { epoch: epoch!, last: last!, part: part!, parts: parts! };
}

function answerOf(text: string): Answer {
  const answer = JSON.parse(text) as {
    seq?: number;
    error?: { code: number; err_code?: number; description?: string };
  };
  if (answer.error === undefined) return { seq: answer.seq ?? 0 };
  const { code, err_code: apiCode, description } = answer.error;
  return { code: apiCode ?? code, description: description ?? `error ${apiCode ?? code}` };
}
