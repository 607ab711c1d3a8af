import {
  jitteredMs,
  setTimer,
  type Supervisor,
  afterEntryId,
  compareEntryIds,
  formatEntryId,
  type EntryId,
} from "@tidemark/redis-connection";
import { TransportError } from "@tidemark/transport";
import { transportErrorOf, verdictOf } from "./errors.ts";
import type { Limits } from "./options.ts";
import type { FrameCopies } from "./frame-copies.ts";

/** Frames of one subject under way to the server. */
const WINDOW_FRAMES = 256;
const WINDOW_BYTES = 8 * 1024 * 1024;
/** Frames of one subject that wait for the window. */
const QUEUE_FRAMES_MAX = 4_096;
const RETRY_FIRST_MS = 20;
const RETRY_MAX_MS = 1_000;

interface Item {
  readonly id: EntryId;
  readonly frame: Uint8Array;
  readonly previous: EntryId | undefined;
  readonly settle: (error?: unknown) => void;
  /** Times it was sent. */
  sent: number;
}

/**
 * Publishes the frames of one subject in their order, a window at a time.
 *
 * A reply that does not come says nothing about what the server did, so everything from there on is sent again: what
 * was stored is refused by its id, which is as good as stored.
 */
export class Outbox {
  /** Frames taken out of the stream at its bound before they were released. */
  trimmed: number = 0;
  readonly #key: string;
  readonly #subject: string;
  readonly #commands: Supervisor;
  readonly #limits: Limits;
  #queue: Item[] = [];
  #sent: number = 0;
  #sentBytes: number = 0;
  #generation: number = 0;
  #attempt: number = 0;
  #resting: boolean = false;
  #last: EntryId | undefined;
  /** What the stream holds of this life, oldest first. */
  #held: { readonly id: EntryId; readonly bytes: number }[] = [];
  #heldBytes: number = 0;
  readonly #onTrim: (subject: string) => void;
  readonly #copies: FrameCopies;

  constructor(
    key: string,
    subject: string,
    commands: Supervisor,
    limits: Limits,
    copies: FrameCopies,
    onTrim: (subject: string) => void,
  ) {
    this.#key = key;
    this.#subject = subject;
    this.#commands = commands;
    this.#limits = limits;
    this.#copies = copies;
    this.#onTrim = onTrim;
  }

  /** The frame is copied. `settled` is called once. Returns how to stop caring about it. */
  add(id: EntryId, frame: Uint8Array, settled: (error?: unknown) => void): () => void {
    if (this.#queue.length >= QUEUE_FRAMES_MAX) {
      settled(
        new TransportError(
          "PUBLISH_FAILED",
          `Cannot publish to ${this.#subject}: ${QUEUE_FRAMES_MAX} frames wait already`,
        ),
      );
      return () => undefined;
    }
    const copy = this.#copies.copy(frame);
    const item: Item = { id, frame: copy, previous: this.#last, settle: settled, sent: 0 };
    this.#last = id;
    this.#queue.push(item);
    this.#pump();
    return () => this.#leave(item);
  }

  /** Lets the server forget everything up to an id. */
  async release(id: EntryId): Promise<void> {
    while (this.#held.length > 0 && compareEntryIds(this.#held[0]!.id, id) <= 0) {
      this.#heldBytes -= this.#held.shift()!.bytes;
    }
    await this.#commands.call(["XTRIM", this.#key, "MINID", formatEntryId(afterEntryId(id))]);
  }

  #pump(): void {
    while (!this.#resting && this.#commands.up && this.#sent < this.#queue.length) {
      const item = this.#queue[this.#sent]!;
      if (
        this.#sent >= WINDOW_FRAMES ||
        (this.#sent > 0 && this.#sentBytes + item.frame.length > WINDOW_BYTES)
      )
        return;
      this.#sent += 1;
      this.#sentBytes += item.frame.length;
      this.#send(item);
    }
    if (this.#queue.length > 0 && !this.#commands.up && !this.#commands.closed) void this.#rest();
  }

  #send(item: Item): void {
    const generation = this.#generation;
    const id = formatEntryId(item.id);
    const cap = ["MAXLEN", "~", `${this.#limits.streamFramesMax}`];
    item.sent += 1;
    const previous = item.previous === undefined ? [] : ["p", formatEntryId(item.previous)];
    this.#commands.call(["XADD", this.#key, ...cap, id, ...previous, "f", item.frame]).then(
      () => {
        this.#attempt = 0;
        if (this.#leave(item)) this.#hold(item);
        item.settle();
        // The server has all of it, and no other connection was given it.
        if (item.sent === 1) this.#copies.giveBack(item.frame);
      },
      (error: unknown) => {
        const verdict = verdictOf(error);
        if (verdict === "repeat") {
          this.#leave(item);
          item.settle();
        } else if (verdict === "refused" || verdict === "unauthorized") {
          this.#leave(item);
          item.settle(transportErrorOf(error, `publish to ${this.#subject}`));
        } else if (generation === this.#generation) {
          if (verdict === "elsewhere") this.#commands.replace("the server takes no writes");
          this.#generation += 1;
          this.#sent = 0;
          this.#sentBytes = 0;
          void this.#rest();
        }
      },
    );
  }

  /** Waits until it makes sense to send again. */
  async #rest(): Promise<void> {
    if (this.#resting) return;
    this.#resting = true;
    const pauseMs = jitteredMs(this.#attempt++, RETRY_FIRST_MS, RETRY_MAX_MS);
    if (this.#commands.up) await new Promise<void>((resolve) => setTimer(pauseMs, resolve));
    const controller = new AbortController();
    this.#giveUp = () => controller.abort();
    await this.#commands.wait(controller.signal);
    this.#giveUp = () => undefined;
    this.#resting = false;
    this.#pump();
  }

  #giveUp: () => void = () => undefined;

  /** False if it had left before. */
  #leave(item: Item): boolean {
    const at = this.#queue.indexOf(item);
    if (at < 0) return false;
    this.#queue.splice(at, 1);
    if (at < this.#sent) {
      this.#sent -= 1;
      this.#sentBytes -= item.frame.length;
    }
    if (this.#queue.length === 0) this.#giveUp();
    else this.#pump();
    return true;
  }

  #hold({ id, frame }: Item): void {
    this.#held.push({ id, bytes: frame.length });
    this.#heldBytes += frame.length;
    const { streamBytesMax, streamFramesMax } = this.#limits;
    let dropped = 0;
    while (
      this.#held.length > 1 &&
      (this.#heldBytes > streamBytesMax || this.#held.length > streamFramesMax)
    ) {
      this.#heldBytes -= this.#held.shift()!.bytes;
      dropped += 1;
    }
    if (dropped === 0) return;
    this.trimmed += dropped;
    this.#commands
      .call(["XTRIM", this.#key, "MINID", formatEntryId(this.#held[0]!.id)])
      // It is tried again with the next frame.
      .catch(() => undefined);
    this.#onTrim(this.#subject);
  }
}
