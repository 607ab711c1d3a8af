import { shardId, type Channel, type LogId, type RegionId } from "@tidemark/core";
import { decodeAck } from "./ack.ts";
import type { Exchange } from "./exchange.ts";
import type { Link } from "./link.ts";
import type { Membership } from "./membership.ts";
import type { Receiver } from "./receiver.ts";
import { ackSubject, frameSubject } from "./subject.ts";

/** What {@link Subscriptions} hand on to. */
export interface SubscriptionsOptions {
  readonly self: RegionId;
  readonly link: Link;
  readonly receiver: Receiver;
  readonly exchange: Exchange;
}

/** What is listened to: the batches and acks of every other member. */
export class Subscriptions {
  readonly #options: SubscriptionsOptions;
  readonly #listening: Map<string, AbortController> = new Map();

  constructor(options: SubscriptionsOptions) {
    this.#options = options;
  }

  /** Begins to hear those who came, and ends with those who went. Resolves once each was tried. */
  async set({ regions, shards }: Membership): Promise<void> {
    const wanted = new Map<string, (ending: AbortController) => Promise<void>>();
    for (const peer of regions.values()) {
      if (peer === this.#options.self) continue;
      wanted.set(ackSubject(peer), (ending) => this.#acks(peer, ending));
      for (let number = 0; number < shards; number++) {
        for (const channel of ["signals", "sessions"] as const) {
          const subject = frameSubject(channel, peer, shardId(number));
          wanted.set(subject, (ending) => this.#batches(subject, { peer, channel, number }, ending));
        }
      }
    }
    for (const [subject, listening] of this.#listening) {
      if (wanted.has(subject)) continue;
      this.#listening.delete(subject);
      listening.abort(new Error("Its region is no member any more"));
    }
    const attempts: Promise<void>[] = [];
    for (const [subject, listen] of wanted) {
      if (this.#listening.has(subject)) continue;
      const ending = new AbortController();
      this.#listening.set(subject, ending);
      attempts.push(listen(ending));
    }
    await Promise.all(attempts);
  }

  #acks(peer: RegionId, ending: AbortController): Promise<void> {
    const { link, exchange } = this.#options;
    return link.listen(
      ackSubject(peer),
      peer,
      "ack",
      (frame) => exchange.acked(peer, decodeAck(frame.body)),
      ending,
    );
  }

  #batches(
    subject: string,
    of: { readonly peer: RegionId; readonly channel: Channel; readonly number: number },
    ending: AbortController,
  ): Promise<void> {
    const { peer, channel, number } = of;
    const { link, receiver } = this.#options;
    const belongs = (id: LogId): boolean =>
      id.region === peer && id.shard === number && id.channel === channel;
    return link.listen(subject, peer, channel, (frame) => receiver.take(frame.body, belongs), ending);
  }
}
