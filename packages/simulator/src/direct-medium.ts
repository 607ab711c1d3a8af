import { TransportError } from "@tidemark/transport";
import type { TransportCapabilities, TransportStatus } from "@tidemark/transport";
import { BROKER } from "./medium.ts";
import type { Medium } from "./medium.ts";
import type { Outcome } from "./serving.ts";
import type { SimNetwork } from "./sim-network.ts";
import type { SimTransport } from "./sim-transport.ts";

/** From machine to machine: nothing is kept, and a frame that is lost is lost. */
export class DirectMedium implements Medium {
  readonly capabilities: TransportCapabilities;
  readonly #transport: SimTransport;
  readonly #network: SimNetwork;

  constructor(transport: SimTransport, network: SimNetwork) {
    this.#transport = transport;
    this.#network = network;
    const { frameBytesMax } = network;
    this.capabilities = { frameBytesMax, ordered: false, replay: false, persistent: false };
  }

  get status(): TransportStatus {
    const { machine } = this.#transport;
    for (const { from, to } of this.#network.cuts()) {
      if (from === BROKER || to === BROKER || (from !== machine && to !== machine)) continue;
      if (!this.#network.isKnownCut(from, to)) continue;
      return { state: "degraded", reason: `the link from ${from} to ${to} is cut` };
    }
    return { state: "ready" };
  }

  async publish(subject: string, frame: Uint8Array): Promise<void> {
    for (const peer of this.#peers()) {
      if (peer.hears(subject))
        this.#carry(this.#transport, peer, subject, frame, () => peer.deliver(subject, frame));
    }
  }

  fill(): void {
    // Whoever publishes looks who listens.
  }

  release(): void {
    // Nothing is kept.
  }

  served(subject: string): boolean {
    return this.#server(subject) !== undefined;
  }

  ask(subject: string, frame: Uint8Array, hear: (outcome: Outcome) => void): void {
    const server = this.#server(subject);
    if (server === undefined)
      throw new TransportError("NO_RESPONDER", `Cannot ask ${subject}: nobody serves it`);
    this.#carry(this.#transport, server, subject, frame, () =>
      server.answer(subject, frame, (outcome) => {
        const bytes = outcome instanceof Uint8Array ? outcome : new Uint8Array(0);
        this.#carry(server, this.#transport, subject, bytes, () => hear(outcome));
      }),
    );
  }

  changed(): void {
    // A link is looked at with each frame.
  }

  #server(subject: string): SimTransport | undefined {
    return this.#peers().find((peer) => peer.serves(subject));
  }

  #peers(): SimTransport[] {
    return [...this.#network.transports()].filter(({ medium }) => medium === "direct");
  }

  #carry(from: SimTransport, to: SimTransport, subject: string, frame: Uint8Array, arrive: () => void): void {
    // What stays at home crosses no link.
    if (from === to) arrive();
    else this.#network.carry(from.machine, to.machine, subject, frame, arrive);
  }
}
