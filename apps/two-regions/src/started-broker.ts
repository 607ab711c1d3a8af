import { once } from "node:events";
import { forkProgram } from "./fork-program.ts";
import type { CrossedError } from "./region-protocol.ts";
import type { BrokerName } from "./transports.ts";

/** To the process that starts a broker. */
export interface ToBroker {
  readonly broker: BrokerName;
}

/** From it. */
export type FromBroker = { readonly url: string } | { readonly error: CrossedError };

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
 * Starts a broker that is found on this machine, or unpacked from its distribution. A process of its own watches over it,
 * so that no server is left where the demo is killed.
 *
 * @throws NoBroker with how to get one.
 */
export async function startBroker(broker: BrokerName): Promise<StartedBroker> {
  const child = forkProgram("broker-process", "leave");
  const gone = once(child, "exit");
  const stop = async (): Promise<void> => {
    if (child.connected) child.disconnect();
    await gone;
  };
  child.send({ broker } satisfies ToBroker, () => {});
  const answer = await Promise.race([
    once(child, "message").then(([message]) => message as FromBroker),
    gone.then(() => ({ error: { name: "Error", message: "its process ended" } })),
  ]);
  if ("url" in answer) return { url: answer.url, stop };
  await stop();
  const { name, message } = answer.error;
  // The servers' own word for it says how to get one already.
  if (name === "ServerUnavailableError") throw new NoBroker(message);
  throw new NoBroker(
    `Cannot start a ${broker} server (${message}): name a running one with --${broker} URL, or its program with ${broker.toUpperCase()}_SERVER_BIN`,
  );
}
