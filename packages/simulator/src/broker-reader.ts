import type { DeliveryQueue } from "./delivery-queue.ts";
import type { StoredFrame } from "./broker-stream.ts";
import type { SimTransport } from "./sim-transport.ts";

/** A place in one making of a stream. */
export interface Place {
  readonly making: number;
  readonly position: number;
}

/**
 * One subscription to the stored frames of a subject, read by its own count: whatever does not follow what it has is
 * asked for again from there.
 */
export class BrokerReader {
  readonly subject: string;
  readonly transport: SimTransport;
  /** What it has; without one it begins where the broker is when it is found. */
  place: Place | undefined;
  /** Begin with the oldest frame there is: nobody could say what was the newest one. */
  fromFirst: boolean = false;
  /** Which of its attempts to read is in force; frames of another one are none. */
  attempt: number = 0;
  attached: boolean = false;
  readonly #queue: DeliveryQueue;
  readonly #again: () => void;

  /** @param again - Reads on from `place`. */
  constructor(
    subject: string,
    of: {
      readonly transport: SimTransport;
      readonly queue: DeliveryQueue;
      readonly place: Place | undefined;
      readonly again: () => void;
    },
  ) {
    this.subject = subject;
    this.transport = of.transport;
    this.place = of.place;
    this.#queue = of.queue;
    this.#again = of.again;
  }

  /** Whether anybody still wants its frames. */
  get open(): boolean {
    return this.transport.open && !this.#queue.closed;
  }

  /** A frame has arrived that was sent to one of its attempts. */
  hear(attempt: number, { position, previous, frame }: StoredFrame): void {
    const { place } = this;
    if (attempt !== this.attempt || place === undefined || !this.open) return;
    if (previous !== place.position) {
      this.#again();
      return;
    }
    const next = { making: place.making, position };
    const delivery = { frame, position: formatPlace(next) };
    if (this.transport.deliverTo(this.#queue, this.subject, delivery)) this.place = next;
    else this.#stall();
  }

  /** The stream keeps what the queue has no room for. */
  #stall(): void {
    this.detach();
    this.#queue.onRoom = () => {
      this.#queue.onRoom = undefined;
      this.#again();
    };
  }

  detach(): void {
    this.attempt += 1;
    this.attached = false;
  }
}

/** A place as the position of a delivery. */
function formatPlace({ making, position }: Place): string {
  return `${making}-${position}`;
}

/** Undefined for anything that is none. */
export function parsePlace(text: string): Place | undefined {
  const found = /^(\d{1,15})-(\d{1,15})$/.exec(text);
  return found === null ? undefined : { making: Number(found[1]), position: Number(found[2]) };
}
