import { ServerUnavailableError, startNats, startRedis } from "@tidemark/servers";
import type { BrokerName } from "./transports.ts";

/** A broker of this run. */
export interface StartedBroker {
  readonly url: string;
  stop(): Promise<void>;
}

/** No broker can be had here; told in one line. */
export class NoBroker extends Error {
  override readonly name = "NoBroker";
}

/**
 * Starts a broker that is found on this machine, or unpacked from its distribution. It is gone with this process, also
 * where the demo is killed.
 *
 * @throws NoBroker with how to get one.
 */
export async function startBroker(broker: BrokerName): Promise<StartedBroker> {
  try {
    const server = broker === "nats" ? await startNats() : await startRedis();
    return { url: server.url, stop: () => server.remove() };
  } catch (error) {
    // The servers' own word for it says how to get one already.
    if (error instanceof ServerUnavailableError) throw new NoBroker(error.message, { cause: error });
    const why = error instanceof Error ? error.message : String(error);
    throw new NoBroker(
      `Cannot start a ${broker} server (${why}): name a running one with --${broker} URL, or its program with ${broker.toUpperCase()}_SERVER_BIN`,
      { cause: error },
    );
  }
}
