import type { PeerState, Replication } from "@tidemark/replication";
import type { RegionLogger } from "./options.ts";

/** What {@link forwardTail} works with. */
export interface ForwardOptions {
  readonly replication: Replication;
  readonly tail: readonly Uint8Array[];
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly logger: RegionLogger | undefined;
}

/**
 * Hands a ticket's operations to a member that writes: one after the other, those heard of most recently first, until
 * one has made them durable. Each gets its share of the time. False if none did.
 */
export async function forwardTail(options: ForwardOptions): Promise<boolean> {
  const { replication, tail, timeoutMs, signal, logger } = options;
  const peers = [...replication.peers()].sort(
    (a, b) => rank(a) - rank(b) || (b.heardAtMs ?? 0) - (a.heardAtMs ?? 0),
  );
  for (const { region, name } of peers) {
    if (signal.aborted) return false;
    try {
      await replication.relay(region, tail, { timeoutMs: Math.max(1, timeoutMs / peers.length), signal });
      return true;
    } catch (error) {
      if (!signal.aborted)
        logger?.info({ peer: name, err: error }, "A member did not take the operations of a ticket");
    }
  }
  return false;
}

function rank({ state }: PeerState): number {
  return state === "live" ? 0 : state === "unheard" ? 1 : 2;
}
