import type { SessionReplicationBridge } from "@tidemark/session-bridge";
import type { RegionParts, Running } from "./running.ts";
import { forwardTail } from "./forward.ts";
import type { PresentedTicket } from "./tokens.ts";
import { ticketError } from "./translate.ts";
import { waitFor } from "./wait.ts";

/** How long a follower waits. */
export interface HandOverWait {
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /** The region is closing. */
  readonly closed: AbortSignal;
}

/**
 * A follower writes nothing: a member takes the operations of a ticket, and they come back by replication.
 *
 * @throws RegionError `NOT_YET_VISIBLE` with what the bearer has seen.
 */
export async function handOver(
  running: Running,
  parts: RegionParts,
  ticket: PresentedTicket,
  tail: readonly Uint8Array[],
  { timeoutMs, signal, closed }: HandOverWait,
): Promise<void> {
  const { replication, bridge, fold, tokens } = running;
  const { platform, options } = parts;
  const ended = new AbortController();
  let taken = true;
  const wait = { timers: platform.timers, timeoutMs, signals: [signal, closed] };
  try {
    const arrived = await waitFor(wait, (done) => {
      let left = tail;
      const stop = fold.onChange(() => {
        left = unknownOf(bridge, left);
        if (left.length === 0) done();
      });
      void forwardTail({ replication, tail, timeoutMs, signal: ended.signal, logger: options.logger }).then(
        (ok) => {
          taken = ok;
          // Nobody took them, and they have not come by themselves: more waiting would only hide it.
          if (!ok) done();
        },
      );
      return stop;
    });
    if (arrived && (taken || unknownOf(bridge, tail).length === 0)) return;
  } finally {
    ended.abort();
  }
  throw tokens.notYetVisible(
    ticket.seen,
    taken
      ? `its operations have not arrived after ${timeoutMs} ms`
      : "this region only follows, and no member that writes could be reached",
  );
}

/** The operations of a ticket that are not known here. @throws SessionError `TICKET_MALFORMED`. */
export function unknownOf(bridge: SessionReplicationBridge, ops: readonly Uint8Array[]): Uint8Array[] {
  try {
    return bridge.unknownOf(ops);
  } catch (error) {
    throw ticketError(error);
  }
}
