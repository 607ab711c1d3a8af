import type { Transport } from "@tidemark/transport";

/** The technologies that regions can be joined by. */
export const TRANSPORTS = ["inprocess", "nats", "redis"] as const;
export type TransportName = (typeof TRANSPORTS)[number];
/** Those that reach beyond a process. */
export type BrokerName = Exclude<TransportName, "inprocess">;

/** A line of a recording has at most 1 MiB, and an operation travels in one frame. */
export const FRAME_BYTES_MAX: number = 2 * 1024 * 1024;

/** Where a region finds its broker. */
export interface BrokerAddress {
  readonly url: string;
  /** Keeps one run apart from every other on the same broker. */
  readonly prefix: string;
  /** Who connects. */
  readonly region: string;
}

/** Connects a region to its broker: the only place where a technology is named. */
export async function openTransport(
  broker: BrokerName,
  { url, prefix, region }: BrokerAddress,
): Promise<Transport> {
  if (broker === "nats") {
    const { openNatsTransport } = await import("@tidemark/transport-nats");
    const { protocol, host, username, password } = new URL(url);
    return openNatsTransport({
      servers: `${protocol}//${host}`,
      prefix,
      provision: "create",
      frameBytesMax: FRAME_BYTES_MAX,
      options: {
        name: `two-regions/${region}`,
        // A server that a cluster told of would be a way around the link that is cut.
        ignoreClusterUpdates: true,
        ...(username === ""
          ? {}
          : { user: decodeURIComponent(username), pass: decodeURIComponent(password) }),
      },
    });
  }
  const { openRedisTransport } = await import("@tidemark/transport-redis");
  return openRedisTransport({ connection: url, prefix, frameBytesMax: FRAME_BYTES_MAX });
}
