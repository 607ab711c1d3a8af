import type { Delivery, FrameSequence, PublishOptions, Subscription, Transport } from "@tidemark/transport";

/** What a test may do to the frames of one region. */
export interface Tap {
  /** Returns false to lose a frame that is being published. */
  publish?: (subject: string, frame: Uint8Array, options?: PublishOptions) => boolean;
  /** Resolves when the medium may take a frame that is being published; rejects to fail it. */
  custody?: (subject: string, options?: PublishOptions) => Promise<void>;
  /** Returns the frames to hear instead of one that arrived. */
  hear?: (subject: string, frame: Uint8Array) => Uint8Array[];
  /** Hears what the medium may forget. */
  release?: (subject: string, sequence: FrameSequence) => void;
  /** Throws to make a subscription fail. */
  subscribe?: (subject: string) => void;
  /** Answers a request instead of the medium, or asks it with `next`. */
  request?: (subject: string, next: () => Promise<Uint8Array>) => Promise<Uint8Array>;
  /** Resolves when a frame may be handed on. */
  gate?: (subject: string) => Promise<void>;
}

/** A transport with a tap on it. */
export function tapped(transport: Transport, tap: Tap): Transport {
  return {
    get capabilities() {
      return transport.capabilities;
    },
    get status() {
      return transport.status;
    },
    onStatus: (listener) => transport.onStatus(listener),
    publish: async (subject, frame, options) => {
      if (tap.publish?.(subject, frame, options) === false) return;
      await tap.custody?.(subject, options);
      await transport.publish(subject, frame, options);
    },
    subscribe: async (subject, options) => {
      tap.subscribe?.(subject);
      const subscription = await transport.subscribe(subject, options);
      return {
        close: () => subscription.close(),
        [Symbol.asyncDispose]: () => subscription.close(),
        async *[Symbol.asyncIterator](): AsyncGenerator<Delivery> {
          for await (const delivery of subscription) {
            await tap.gate?.(subject);
            const frames = tap.hear?.(subject, delivery.frame) ?? [delivery.frame];
            for (const frame of frames) yield { frame };
          }
        },
      } satisfies Subscription;
    },
    release: (subject, sequence) => {
      tap.release?.(subject, sequence);
      return transport.release(subject, sequence);
    },
    serve: (subject, handler, options) => transport.serve(subject, handler, options),
    request: (subject, frame, options) => {
      const next = (): Promise<Uint8Array> => transport.request(subject, frame, options);
      return tap.request === undefined ? next() : tap.request(subject, next);
    },
    close: () => transport.close(),
    [Symbol.asyncDispose]: () => transport.close(),
  };
}
