import type { MsgHdrs, NatsConnection } from "@nats-io/nats-core";
import { answerOf } from "./answer.ts";
import type { Answer } from "./answer.ts";
import type { Expected, Inbox } from "./inbox.ts";
import type { Settings } from "./options.ts";
import type { NatsPlatform } from "./platform.ts";

const EXPECTED_MESSAGE_ID = "Nats-Expected-Last-Msg-Id";
/** Bytes of one stream's messages under way; one message may always be. */
const WINDOW_BYTES_MAX = 8 * 2 ** 20;
/** Messages stored since the window was opened, after which a refusal is taken for chance. */
const CALM_COUNT = 256;
/** The most messages that are stored one at a time before the window is opened again. */
const ALONE_COUNT_MAX = 1_024;

/** A message to be stored. */
export interface Message {
  /** The subject on the broker. */
  readonly subject: string;
  /** What the stream knows it by: no two messages have the same, other than repeats. */
  readonly id: string;
  readonly bytes: Uint8Array;
  /** Its own; the window adds to them. */
  readonly headers: MsgHdrs;
  /** Called once. */
  answered(answer: Answer): void;
}

/** What a {@link StreamWindow} is made of. */
export interface StreamWindowOptions {
  readonly inbox: Inbox;
  readonly platform: NatsPlatform;
  readonly settings: Pick<Settings, "ackTimeoutMs" | "publishWindowMax">;
  readonly closing: AbortSignal;
}

/**
 * Messages of one stream under way to the broker, those of all its subjects in one order.
 *
 * Each but the first names the id of the message sent before it, as the one that must be the stream's last. So a message that
 * is not stored keeps out all that were sent behind it, whatever became of it, and what is in the stream is in order.
 * Then nothing is sent until all are answered, or the broker is silent. Afterwards a subject has one message under way, which
 * stands for itself, until as many were stored as a counter says; it doubles each time this happens soon again, as it does where
 * somebody else writes into the stream.
 */
export class StreamWindow {
  readonly #options: StreamWindowOptions;
  readonly #underWay: Map<Message, Expected> = new Map();
  #bytes: number = 0;
  /** The id of the message that was sent last. */
  #last: string = "";
  #lastSubject: string = "";
  /** Whether messages under way name the one before them. */
  #chained: boolean;
  /** Whether they should: what is under way is waited for before that changes. */
  #wanted: boolean;
  /** Messages stored since that was decided. */
  #stored: number = 0;
  #aloneCount: number = 1;
  /** Called when there may be room, the one that waits longest first. */
  readonly #waiting: Set<() => void> = new Set();
  /** Those of them that wait for room alone. */
  readonly #crowded: Set<() => void> = new Set();
  #waking: boolean = false;
  #cancelWatch: () => void = () => undefined;

  constructor(options: StreamWindowOptions) {
    this.#options = options;
    this.#chained = this.#wanted = options.settings.publishWindowMax > 1;
    options.closing.addEventListener("abort", () => this.#cancelWatch(), { once: true });
  }

  /**
   * Whether a message may be sent now; else `look` is called once it may have changed.
   *
   * @param follows - Whether messages of its subject are under way.
   */
  admits(subject: string, bytes: number, follows: boolean, look: () => void): boolean {
    const { size } = this.#underWay;
    const room = size < this.#options.settings.publishWindowMax;
    const fits = size === 0 || this.#bytes + bytes <= WINDOW_BYTES_MAX;
    const settled = this.#chained === this.#wanted;
    // Behind another subject's message nothing says that the one before it of its own is stored.
    const behind = !follows || this.#lastSubject === subject;
    // In turn: a subject with much to send does not take the room that another has waited for longer.
    const turn = this.#waking || this.#crowded.size === 0;
    if (settled && (this.#chained ? room && fits && behind && turn : !follows)) return true;
    this.#waiting.add(look);
    if (settled && this.#chained && behind) this.#crowded.add(look);
    return false;
  }

  /** Sends what was admitted. @throws what the client throws: then it was not sent. */
  send(live: NatsConnection, message: Message): void {
    const { inbox } = this.#options;
    if (this.#chained && this.#underWay.size > 0) message.headers.set(EXPECTED_MESSAGE_ID, this.#last);
    const expecting = inbox.expect((answer) => this.#settle(message, answerOf(answer)));
    try {
      live.publish(message.subject, message.bytes, { headers: message.headers, reply: expecting.reply });
    } catch (error) {
      expecting.forget();
      throw error;
    }
    this.#last = message.id;
    this.#lastSubject = message.subject;
    this.#underWay.set(message, expecting);
    this.#bytes += message.bytes.length;
    if (this.#underWay.size === 1) this.#watch();
  }

  /** The broker was lost: what became of the messages under way is unknown. */
  lost(): void {
    for (const message of [...this.#underWay.keys()]) this.#settle(message, "silent");
  }

  #settle(message: Message, answer: Answer): void {
    const expecting = this.#underWay.get(message);
    if (expecting === undefined) return;
    expecting.forget();
    const oldest = this.#underWay.keys().next().value === message;
    this.#underWay.delete(message);
    this.#bytes -= message.bytes.length;
    if (typeof answer === "object" && "seq" in answer) this.#advance();
    else this.#fallBack();
    if (this.#underWay.size === 0) this.#chained = this.#wanted;
    if (oldest) this.#watch();
    message.answered(answer);
    this.#wake();
  }

  #advance(): void {
    this.#stored += 1;
    if (this.#wanted || this.#stored < this.#aloneCount || this.#options.settings.publishWindowMax === 1)
      return;
    this.#wanted = true;
    this.#stored = 0;
  }

  #fallBack(): void {
    if (this.#wanted) {
      const soon = this.#stored < CALM_COUNT;
      this.#aloneCount = soon ? Math.min(ALONE_COUNT_MAX, this.#aloneCount * 2) : 1;
    }
    this.#wanted = false;
    this.#stored = 0;
  }

  #wake(): void {
    this.#waking = true;
    // What looks and still may not, waits again.
    for (const look of [...this.#waiting]) {
      this.#waiting.delete(look);
      this.#crowded.delete(look);
      look();
    }
    this.#waking = false;
  }

  /**
   * Of the oldest message: answers come in the order of the messages, so one to a younger message says that the answer to
   * the oldest was lost, and a slow link with a full window is not a silent broker.
   */
  #watch(): void {
    this.#cancelWatch();
    const { closing, platform, settings } = this.#options;
    if (this.#underWay.size === 0 || closing.aborted) return;
    this.#cancelWatch = platform.setTimer(settings.ackTimeoutMs, () => this.lost());
  }
}
