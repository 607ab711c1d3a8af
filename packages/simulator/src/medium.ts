import type { FrameSequence, TransportCapabilities, TransportStatus } from "@tidemark/transport";
import type { DeliveryQueue } from "./delivery-queue.ts";
import type { Outcome } from "./serving.ts";

/** The name of the broker among the ends of links. */
export const BROKER: string = "broker";

/** How frames go: from machine to machine, or by way of the broker. */
export type SimMedium = "direct" | "broker";

/** The process whose calls these are; a `Life` is one. */
export interface LifeLike {
  readonly alive: boolean;
  /** Said before each call of I/O: the process may end at it. */
  call(name: string, detail?: string): void;
  /** Said once it took effect. */
  settle(): void;
}

/** How the frames of one transport go. Frames it is given are its own. */
export interface Medium {
  readonly capabilities: TransportCapabilities;
  /** How it is, as far as this end can know. */
  readonly status: TransportStatus;
  /** Resolves once there is custody. @throws `PUBLISH_FAILED` */
  publish(subject: string, frame: Uint8Array, sequence: FrameSequence | undefined): Promise<void>;
  /** Begins to fill a queue, after a position if there is one; ends with the queue. */
  fill(subject: string, queue: DeliveryQueue, from: string | undefined): void;
  release(subject: string, sequence: FrameSequence): void;
  /** Whether the medium can see that somebody else serves the subject. */
  served(subject: string): boolean;
  /** Asks whoever serves the subject; `hear` is told what came of it, once, twice or never. @throws `NO_RESPONDER` */
  ask(subject: string, frame: Uint8Array, hear: (outcome: Outcome) => void): void;
  /** A link of this machine, or the broker, is another than before. */
  changed(): void;
}
