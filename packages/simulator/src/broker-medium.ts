import { TransportError } from "@tidemark/transport";
import type { FrameSequence, TransportCapabilities, TransportStatus } from "@tidemark/transport";
import { BrokerReader, parsePlace } from "./broker-reader.ts";
import type { DeliveryQueue } from "./delivery-queue.ts";
import { BROKER } from "./medium.ts";
import type { Medium } from "./medium.ts";
import type { Outcome } from "./serving.ts";
import type { SimNetwork } from "./sim-network.ts";
import type { SimTransport } from "./sim-transport.ts";

/** How long a publisher waits for the broker's word. */
const ACK_TIMEOUT_MS = 500;

/** By way of the broker, which keeps what has a sequence. */
export class BrokerMedium implements Medium {
  readonly capabilities: TransportCapabilities;
  readonly #transport: SimTransport;
  readonly #network: SimNetwork;
  readonly #readers: Set<BrokerReader> = new Set();

  constructor(transport: SimTransport, network: SimNetwork) {
    this.#transport = transport;
    this.#network = network;
    const { frameBytesMax } = network;
    this.capabilities = { frameBytesMax, ordered: true, replay: true, persistent: true };
  }

  get status(): TransportStatus {
    return this.#connected
      ? { state: "ready" }
      : { state: "connecting", reason: "the broker is out of reach" };
  }

  async publish(subject: string, frame: Uint8Array, sequence: FrameSequence | undefined): Promise<void> {
    const { broker } = this.#network;
    if (sequence === undefined) {
      if (!this.#connected)
        throw new TransportError("PUBLISH_FAILED", `The broker is out of reach: ${subject}`);
      this.#send(subject, frame, () => broker.relay(subject, frame));
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const late = (): void =>
        reject(
          new TransportError(
            "PUBLISH_FAILED",
            `The broker did not confirm ${subject} in ${ACK_TIMEOUT_MS} ms`,
          ),
        );
      const cancel = this.#network.timers.setTimer(ACK_TIMEOUT_MS, late);
      this.#send(subject, frame, () => {
        broker.store(subject, frame, sequence);
        this.#back(subject, () => {
          cancel();
          resolve();
        });
      });
    });
  }

  fill(subject: string, queue: DeliveryQueue, from: string | undefined): void {
    const reader: BrokerReader = new BrokerReader(subject, {
      transport: this.#transport,
      queue,
      place: from === undefined ? undefined : this.#network.broker.known(subject, parsePlace(from)),
      again: () => this.#attach(reader),
    });
    for (const other of this.#readers) if (!other.open) this.#readers.delete(other);
    this.#readers.add(reader);
    this.#attach(reader);
  }

  release(subject: string, sequence: FrameSequence): void {
    this.#send(subject, new Uint8Array(0), () => this.#network.broker.release(subject, sequence));
  }

  served(): boolean {
    // The broker tells nobody who else listens.
    return false;
  }

  ask(subject: string, frame: Uint8Array, hear: (outcome: Outcome) => void): void {
    if (!this.#connected) throw new TransportError("NO_RESPONDER", `Cannot ask ${subject}: no broker`);
    this.#send(subject, frame, () =>
      this.#network.broker.route(subject, frame, (outcome) => {
        const bytes = outcome instanceof Uint8Array ? outcome : new Uint8Array(0);
        this.#back(subject, () => hear(outcome), bytes);
      }),
    );
  }

  changed(): void {
    for (const reader of this.#readers) {
      if (!reader.open) this.#readers.delete(reader);
      else if (!this.#connected) reader.detach();
      else if (!reader.attached) this.#attach(reader);
    }
  }

  get #connected(): boolean {
    const { machine } = this.#transport;
    const { broker } = this.#network;
    return (
      broker.up && !this.#network.isKnownCut(machine, BROKER) && !this.#network.isKnownCut(BROKER, machine)
    );
  }

  #attach(reader: BrokerReader): void {
    reader.detach();
    if (this.#connected && reader.open) this.#network.broker.attach(reader);
    // Without a broker there is no "now" to begin at: what it will have is read from its beginning.
    if (!reader.attached && reader.place === undefined) reader.fromFirst = true;
  }

  /** To the broker, which may be down or frozen when it arrives. */
  #send(subject: string, frame: Uint8Array, arrive: () => void): void {
    this.#network.carry(this.#transport.machine, BROKER, subject, frame, () =>
      this.#network.broker.receive(arrive),
    );
  }

  #back(subject: string, arrive: () => void, frame: Uint8Array = new Uint8Array(0)): void {
    this.#network.carry(BROKER, this.#transport.machine, subject, frame, arrive);
  }
}
