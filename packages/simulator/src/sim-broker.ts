import { TransportError } from "@tidemark/transport";
import type { FrameSequence } from "@tidemark/transport";
import type { BrokerReader, Place } from "./broker-reader.ts";
import { BrokerStream } from "./broker-stream.ts";
import type { StoredFrame } from "./broker-stream.ts";
import { BROKER } from "./medium.ts";
import type { Random } from "./random.ts";
import type { Outcome } from "./serving.ts";
import type { SimNetwork } from "./sim-network.ts";
import type { SimTransport } from "./sim-transport.ts";

/** What waits for a broker that is frozen; beyond it frames are lost. */
const WAITING_MAX = 1_024;
/** How far a renumbered stream moves. */
const SHIFT_MAX = 64;

/** What a {@link SimBroker} is made of. */
export interface SimBrokerOptions {
  readonly network: SimNetwork;
  readonly random: Random;
  readonly storedFramesMax: number;
  readonly repeatWindow: number;
}

/**
 * The broker of a simulated world: it keeps frames that have a sequence, gives them positions, refuses a repeat as long
 * as it remembers, and can lose and confuse everything it keeps.
 */
export class SimBroker {
  /** Whether it runs. */
  up: boolean = true;
  readonly #options: SimBrokerOptions;
  readonly #streams: Map<string, BrokerStream> = new Map();
  readonly #readers: Map<string, Set<BrokerReader>> = new Map();
  /** What a replica lacked when it took over, by subject. */
  #left: Map<string, readonly StoredFrame[]> = new Map();
  #makings: number = 0;
  #frozen: boolean = false;
  #waiting: (() => void)[] = [];
  #stopRestart: () => void = () => undefined;

  constructor(options: SimBrokerOptions) {
    this.#options = options;
  }

  /** What it keeps of a subject, oldest first. */
  stored(subject: string): readonly StoredFrame[] {
    return this.#streams.get(subject)?.frames ?? [];
  }

  // Faults.

  /** Stops, and starts again later with what it keeps; every connection breaks. */
  restart({ downMs = 100 }: { readonly downMs?: number } = {}): void {
    this.#note("restart");
    this.#stop(downMs);
  }

  /** Knows no position any more: readers begin again, as drawn at the beginning or at the end. */
  forgetPositions(): void {
    this.#note("forget positions");
    for (const stream of this.#streams.values()) stream.making = ++this.#makings;
    this.#reconnect();
  }

  /** Loses all it keeps. */
  deleteStreams(): void {
    this.#note("delete streams");
    this.#streams.clear();
    this.#reconnect();
  }

  /** Gives all it keeps other positions, higher or lower ones, and says nothing. */
  renumber(): void {
    this.#note("renumber");
    for (const stream of this.#streams.values()) stream.renumber(this.#options.random.between(1, SHIFT_MAX));
  }

  /** Keeps only the newest `keep` frames of each subject. */
  trim(keep: number): void {
    this.#note(`trim ${keep}`);
    for (const stream of this.#streams.values()) stream.trim(keep);
  }

  /** Takes the newest `count` frames of each subject a second time, as from a client that sent them again too late. */
  duplicate(count: number = 8): void {
    this.#note(`duplicate ${count}`);
    for (const [subject, stream] of this.#streams) {
      stream.forgetWindow();
      for (const { frame, sequence } of stream.frames.slice(-count)) this.#append(subject, frame, sequence);
    }
  }

  /** A replica takes over that lacks the newest `lag` frames of each subject; every connection breaks. */
  failover(lag: number, { downMs = 100 }: { readonly downMs?: number } = {}): void {
    this.#note(`failover ${lag}`);
    this.#left = new Map([...this.#streams].map(([subject, stream]) => [subject, stream.lose(lag)]));
    this.#stop(downMs);
  }

  /** The old one comes back, and with it, behind what is there, what the replica lacked. */
  returnOld(): void {
    this.#note("the old one returns");
    for (const [subject, frames] of this.#left)
      for (const { frame, sequence } of frames) this.#append(subject, frame, sequence);
    this.#left = new Map();
  }

  /** Takes nothing and says nothing until it thaws; nobody can tell that from a slow link. */
  freeze(): void {
    this.#note("freeze");
    this.#frozen = true;
  }

  thaw(): void {
    if (!this.#frozen) return;
    this.#note("thaw");
    this.#frozen = false;
    for (const arrive of this.#waiting.splice(0)) arrive();
    for (const transport of this.#transports()) transport.linkChanged();
  }

  /** Runs, thawed, from now on. */
  heal(): void {
    this.thaw();
    if (!this.up) this.#start();
  }

  // What media do.

  /** Something arrives: now, when it thaws, or never. */
  receive(arrive: () => void): void {
    if (!this.up) return;
    if (!this.#frozen) arrive();
    else if (this.#waiting.length < WAITING_MAX) this.#waiting.push(arrive);
    else this.#options.network.counts.overflowed += 1;
  }

  /** Keeps a frame and hands it on, unless it is known to be a repeat. */
  store(subject: string, frame: Uint8Array, sequence: FrameSequence): void {
    if (this.#streamOf(subject).repeats(sequence)) return;
    this.#append(subject, frame, sequence);
  }

  /** Hands a frame on that is not kept. */
  relay(subject: string, frame: Uint8Array): void {
    for (const transport of this.#transports()) {
      if (transport.hears(subject))
        this.#carry(transport, subject, frame, () => transport.deliver(subject, frame));
    }
  }

  /** Takes a request to whoever serves the subject; `reply` runs where the broker is. */
  route(subject: string, frame: Uint8Array, reply: (outcome: Outcome) => void): void {
    const server = this.#transports().find((transport) => transport.serves(subject));
    if (server === undefined) {
      reply(new TransportError("NO_RESPONDER", `Nobody serves ${subject}`));
      return;
    }
    const { network } = this.#options;
    this.#carry(server, subject, frame, () =>
      server.answer(subject, frame, (outcome) => {
        const bytes = outcome instanceof Uint8Array ? outcome : new Uint8Array(0);
        network.carry(server.machine, BROKER, subject, bytes, () => this.receive(() => reply(outcome)));
      }),
    );
  }

  release(subject: string, upTo: FrameSequence): void {
    this.#streams.get(subject)?.release(upTo);
  }

  /** A place that was given out here, and may be again. */
  known(subject: string, place: Place | undefined): Place | undefined {
    const stream = this.#streams.get(subject);
    const known = place !== undefined && stream?.making === place.making && place.position <= stream.last;
    return known ? place : undefined;
  }

  /** Begins to send a reader what follows its place; nothing happens while frozen. */
  attach(reader: BrokerReader): void {
    if (this.#frozen) return;
    const { subject } = reader;
    const stream = this.#streamOf(subject);
    const missed = stream.after(this.#startOf(reader, stream));
    // What was trimmed is nobody's: the reader goes on with what there is.
    reader.place = { making: stream.making, position: missed[0]?.previous ?? stream.last };
    reader.attached = true;
    const readers = this.#readers.get(subject) ?? new Set();
    this.#readers.set(subject, readers.add(reader));
    for (const stored of missed) this.#hand(reader, stored);
  }

  #startOf({ place, fromFirst }: BrokerReader, stream: BrokerStream): number {
    if (place === undefined) return fromFirst ? 0 : stream.last;
    if (place.making !== stream.making) return this.#options.random.chance(0.5) ? 0 : stream.last;
    // A stream that lost its end, or has other numbers: all it has may be new.
    return place.position > stream.last ? 0 : place.position;
  }

  #append(subject: string, frame: Uint8Array, sequence: FrameSequence): void {
    const stored = this.#streamOf(subject).store(frame, sequence);
    const readers = this.#readers.get(subject);
    for (const reader of readers ?? []) {
      if (!reader.open) readers?.delete(reader);
      else if (reader.attached) this.#hand(reader, stored);
    }
  }

  #hand(reader: BrokerReader, stored: StoredFrame): void {
    const { attempt } = reader;
    this.#carry(reader.transport, reader.subject, stored.frame, () => reader.hear(attempt, stored));
  }

  #carry(to: SimTransport, subject: string, frame: Uint8Array, arrive: () => void): void {
    this.#options.network.carry(BROKER, to.machine, subject, frame, arrive);
  }

  #streamOf(subject: string): BrokerStream {
    let stream = this.#streams.get(subject);
    if (stream === undefined) {
      const { storedFramesMax: framesMax, repeatWindow } = this.#options;
      stream = new BrokerStream({ making: ++this.#makings, framesMax, repeatWindow });
      this.#streams.set(subject, stream);
    }
    return stream;
  }

  #stop(downMs: number): void {
    this.up = false;
    this.#frozen = false;
    this.#waiting = [];
    for (const transport of this.#transports()) transport.linkChanged();
    this.#stopRestart();
    this.#stopRestart = this.#options.network.timers.setTimer(downMs, () => this.#start());
  }

  #start(): void {
    this.#stopRestart();
    this.up = true;
    for (const transport of this.#transports()) transport.linkChanged();
  }

  /** Every reader has to find its place again. */
  #reconnect(): void {
    for (const readers of this.#readers.values()) for (const reader of readers) reader.detach();
    for (const transport of this.#transports()) transport.linkChanged();
  }

  #transports(): SimTransport[] {
    return [...this.#options.network.transports()].filter(({ medium }) => medium === "broker");
  }

  #note(fault: string): void {
    this.#options.network.trace.note(BROKER, fault);
  }
}
