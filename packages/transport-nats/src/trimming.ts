import type { NatsConnection } from "@nats-io/nats-core";
import type { FrameSequence } from "@tidemark/transport";
import type { Connection } from "./connection.ts";
import { compareSequences } from "./mark.ts";
import type { Tail } from "./mark.ts";
import type { Streams } from "./streams.ts";

/** The most places in the stream that are remembered. */
const PLACES_MAX = 2_048;

/** What a {@link Trimming} is made of. */
export interface TrimmingOptions {
  readonly subject: string;
  /** Its name on the broker. */
  readonly stored: string;
  readonly stream: string;
  readonly connection: Connection;
  readonly streams: Streams;
  readonly closing: AbortSignal;
}

/** What a {@link Trimming} asks and tells. */
export interface TrimmingEvents {
  /** The last message of the subject, as far as it is known. */
  tail(live: NatsConnection): Promise<Tail>;
  /** The stream holds nothing of the subject up to there any more. */
  emptied(seq: number): void;
}

/** Takes out of the stream what every member holds of one subject. */
export class Trimming {
  readonly #options: TrimmingOptions;
  readonly #events: TrimmingEvents;
  readonly #places: { readonly sequence: FrameSequence; readonly seq: number }[] = [];
  #running: boolean = false;
  #next: FrameSequence | undefined;

  constructor(options: TrimmingOptions, events: TrimmingEvents) {
    this.#options = options;
    this.#events = events;
  }

  /** A frame ends there in the stream. */
  stored(sequence: FrameSequence, seq: number): void {
    this.#places.push({ sequence, seq });
    // Half of them at a time: it is done for every frame.
    if (this.#places.length > PLACES_MAX) this.#places.splice(0, PLACES_MAX / 2);
  }

  /** Trims up to a frame, as far as it is known where that ends. Never rejects. */
  release(sequence: FrameSequence): void {
    if (this.#next === undefined || compareSequences(sequence, this.#next) > 0) this.#next = sequence;
    if (this.#running) return;
    this.#running = true;
    void this.#run();
  }

  async #run(): Promise<void> {
    const { subject, stored, stream, connection, streams, closing } = this.#options;
    while (this.#next !== undefined && !closing.aborted) {
      const upTo = this.#next;
      this.#next = undefined;
      try {
        const live = connection.live;
        if (live === undefined) continue;
        const seq = placeOf(await this.#events.tail(live), upTo) ?? this.#placeOf(upTo);
        if (seq === undefined) continue;
        const manager = await streams.manager(live, subject);
        await manager.streams.purge(stream, { filter: stored, seq: seq + 1 });
        this.#events.emptied(seq);
        while (this.#places[0] !== undefined && this.#places[0].seq <= seq) this.#places.shift();
      } catch {
        // A hint: what is not trimmed now is trimmed with the next one.
      }
    }
    this.#running = false;
  }

  #placeOf(upTo: FrameSequence): number | undefined {
    return this.#places.findLast(({ sequence }) => compareSequences(sequence, upTo) <= 0)?.seq;
  }
}

/** Where the stream holds the last frame up to a number, if that is the subject's last one. */
function placeOf({ seq, mark }: Tail, upTo: FrameSequence): number | undefined {
  const whole = mark !== undefined && mark.part === mark.parts - 1;
  return whole && seq > 0 && compareSequences(mark, upTo) <= 0 ? seq : undefined;
}
