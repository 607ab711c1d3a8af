import type { FrameSequence } from "@tidemark/transport";

/** A frame as the broker keeps it. */
export interface StoredFrame {
  /** Where it is in its stream. */
  readonly position: number;
  /** Where the one before it is, or was. */
  readonly previous: number;
  readonly frame: Uint8Array;
  readonly sequence: FrameSequence;
}

/** What a {@link BrokerStream} is made with. */
export interface BrokerStreamOptions {
  /** Which making of the stream it is: positions of another one mean nothing. */
  readonly making: number;
  /** Beyond so many the oldest go. */
  readonly framesMax: number;
  /** By so many sequences a repeat is refused. */
  readonly repeatWindow: number;
}

/** The stored frames of one subject. */
export class BrokerStream {
  making: number;
  readonly #framesMax: number;
  readonly #repeatWindow: number;
  #frames: StoredFrame[] = [];
  #last: number = 0;
  /** The newest sequences, oldest first. */
  #window: FrameSequence[] = [];

  constructor({ making, framesMax, repeatWindow }: BrokerStreamOptions) {
    this.making = making;
    this.#framesMax = framesMax;
    this.#repeatWindow = repeatWindow;
  }

  /** The position of the newest frame. */
  get last(): number {
    return this.#last;
  }

  get frames(): readonly StoredFrame[] {
    return this.#frames;
  }

  /** Whether a frame of this sequence is known to be a repeat. */
  repeats({ epoch, last }: FrameSequence): boolean {
    return this.#window.some((known) => known.epoch === epoch && known.last === last);
  }

  /** Stores a frame at the end. */
  store(frame: Uint8Array, sequence: FrameSequence): StoredFrame {
    const stored = { position: this.#last + 1, previous: this.#last, frame, sequence };
    this.#frames.push(stored);
    this.#last = stored.position;
    this.#window.push(sequence);
    if (this.#window.length > this.#repeatWindow) this.#window.shift();
    if (this.#frames.length > this.#framesMax) this.#frames.shift();
    return stored;
  }

  /** What comes after a position, oldest first. */
  after(position: number): StoredFrame[] {
    return this.#frames.filter((stored) => stored.position > position);
  }

  /** Forgets all but the newest `keep` frames. */
  trim(keep: number): void {
    this.#frames.splice(0, Math.max(0, this.#frames.length - keep));
  }

  /** Forgets frames that nobody needs any more. */
  release(upTo: FrameSequence): void {
    this.#frames = this.#frames.filter(
      ({ sequence }) =>
        sequence.epoch > upTo.epoch || (sequence.epoch === upTo.epoch && sequence.last > upTo.last),
    );
  }

  /** Takes the newest frames away, and with them all memory of them: their positions are given out again. */
  lose(count: number): StoredFrame[] {
    if (count <= 0) return [];
    const lost = this.#frames.splice(Math.max(0, this.#frames.length - count));
    const gone = new Set(lost.map(({ sequence }) => sequence));
    this.#window = this.#window.filter((sequence) => !gone.has(sequence));
    this.#last = lost[0]?.previous ?? this.#last;
    return lost;
  }

  /** Gives every frame another position, in the same order, from `first` up. */
  renumber(first: number): void {
    this.#frames = this.#frames.map((stored, index) => ({
      ...stored,
      position: first + index,
      previous: first + index - 1,
    }));
    this.#last = first + this.#frames.length - 1;
  }

  /** Forgets by which sequences it would refuse a repeat. */
  forgetWindow(): void {
    this.#window = [];
  }
}
