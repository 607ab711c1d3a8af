import type {
  FrameSequence,
  PublishOptions,
  RequestHandler,
  RequestOptions,
  ServeOptions,
  Service,
  SubscribeOptions,
  Subscription,
  Transport,
  TransportCapabilities,
  TransportStatus,
} from "@tidemark/transport";

/** One transport a broker, by the regions whose subjects it carries. */
export interface RegionRoutes {
  /** By number of the region: the transport to the broker that is beside it. */
  readonly regions: Readonly<Record<number, Transport>>;
  /** For regions that have none of their own; the same broker for everybody. */
  readonly others: Transport;
}

/**
 * Makes one transport of several: a region's frames, acknowledgements and requests travel over the broker beside it,
 * so that the brokers need not know each other. It owns what it is given: closing it closes all of them.
 */
export function routeByRegion(routes: RegionRoutes): Transport {
  return new RoutedTransport(routes);
}

/** The second token of a subject names its region, on every channel. */
const REGION_TOKEN = 1;

class RoutedTransport implements Transport {
  readonly capabilities: TransportCapabilities;
  readonly #routes: RegionRoutes;
  readonly #all: readonly Transport[];

  constructor(routes: RegionRoutes) {
    this.#routes = routes;
    this.#all = [...new Set([routes.others, ...Object.values(routes.regions)])];
    const claims = this.#all.map(({ capabilities }) => capabilities);
    this.capabilities = {
      frameBytesMax: Math.min(...claims.map(({ frameBytesMax }) => frameBytesMax)),
      ordered: claims.every(({ ordered }) => ordered),
      replay: claims.every(({ replay }) => replay),
      persistent: claims.every(({ persistent }) => persistent),
    };
  }

  /** Closed with the first, connecting while none is reached, degraded while one is not as it should be. */
  get status(): TransportStatus {
    const all = this.#all.map(({ status }) => status);
    const closed = all.find(({ state }) => state === "closed");
    if (closed !== undefined) return closed;
    const worst = all.find(({ state }) => state !== "ready");
    if (worst === undefined) return { state: "ready" };
    return all.every(({ state }) => state === "connecting") ? worst : { ...worst, state: "degraded" };
  }

  onStatus(listener: (status: TransportStatus) => void): () => void {
    let ended = false;
    const tell = (): void => {
      const { status } = this;
      if (ended) return;
      ended = status.state === "closed";
      listener(status);
    };
    const stops = this.#all.map((transport) => transport.onStatus(tell));
    return () => {
      for (const stop of stops) stop();
    };
  }

  publish(subject: string, frame: Uint8Array, options?: PublishOptions): Promise<void> {
    return this.#of(subject).publish(subject, frame, options);
  }

  subscribe(subject: string, options?: SubscribeOptions): Promise<Subscription> {
    return this.#of(subject).subscribe(subject, options);
  }

  release(subject: string, sequence: FrameSequence): Promise<void> {
    return this.#of(subject).release(subject, sequence);
  }

  serve(subject: string, handler: RequestHandler, options?: ServeOptions): Promise<Service> {
    return this.#of(subject).serve(subject, handler, options);
  }

  request(subject: string, frame: Uint8Array, options: RequestOptions): Promise<Uint8Array> {
    return this.#of(subject).request(subject, frame, options);
  }

  async close(): Promise<void> {
    await Promise.all(this.#all.map((transport) => transport.close()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #of(subject: string): Transport {
    const { regions, others } = this.#routes;
    return regions[Number(subject.split(".")[REGION_TOKEN])] ?? others;
  }
}
