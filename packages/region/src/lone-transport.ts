import type { Service, Subscription, Transport, TransportStatus } from "@tidemark/transport";

/** The medium of a region that is alone: it takes custody of everything and nobody listens. */
export function loneTransport(): Transport {
  const status: TransportStatus = { state: "ready" };
  return {
    capabilities: { frameBytesMax: 1024 * 1024, ordered: true, replay: false, persistent: false },
    status,
    onStatus: () => () => undefined,
    publish: async () => undefined,
    subscribe: async () => silence(),
    release: async () => undefined,
    serve: async () => service(),
    request: () => Promise.reject(new Error("A region without members has nobody to ask")),
    close: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
}

function service(): Service {
  return { close: async () => undefined, [Symbol.asyncDispose]: async () => undefined };
}

function silence(): Subscription {
  let end = (): void => undefined;
  const closed = new Promise<void>((resolve) => {
    end = resolve;
  });
  return {
    close: async () => end(),
    [Symbol.asyncDispose]: async () => end(),
    async *[Symbol.asyncIterator]() {
      await closed;
    },
  };
}
