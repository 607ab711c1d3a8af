import { setTimeout } from "node:timers/promises";
import {
  type LeaseRecord,
  type SessionStore,
  SessionStoreError,
  workCompletion,
} from "@tidemark/session-store";
import type { Answered } from "./protocol.ts";

/** How long a worker waits before it asks again for a lease or for work, in milliseconds. */
const PAUSE_MS = 5;

/**
 * A worker as anybody would write it: claims the lease, answers what is next, releases, and says so when a turn is
 * committed. What is refused is left to whoever came after; the loop goes on for ever.
 */
export async function workOn(
  session: SessionStore,
  { owner, ttlMs }: { readonly owner: string; readonly ttlMs: number },
  answered: (turn: Answered) => void,
): Promise<never> {
  for (let turns = 0; ; turns++) {
    try {
      const lease = await session.lease.claim({ owner, ttlMs });
      const turn = `${owner}-${turns}`;
      const batches = lease === undefined ? [] : await answer(session, lease, turn);
      if (batches.length === 0) await setTimeout(PAUSE_MS);
      else answered({ turn, batches });
    } catch (error) {
      if (!(error instanceof SessionStoreError)) throw error;
    }
  }
}

/** Commits one turn that answers the next work; the ids of its batches. */
async function answer(session: SessionStore, lease: LeaseRecord, turn: string): Promise<readonly string[]> {
  const claim = await session.work.claim({ fence: lease, boundary: "idle", max: 3 });
  if (claim === undefined) {
    await session.lease.release(lease);
    return [];
  }
  const batches = claim.batches.map((batch) => batch.id);
  await session.commit({
    session: session.id,
    expected: "any",
    lease,
    release: true,
    config: { provider: "provider-1", model: "model-1" },
    graph: { type: "append", nodes: [{ id: turn, timestamp: 0, payload: batches }], leaf: turn },
    turn: { session: session.id, turn },
    completed: [workCompletion(claim)],
  });
  return batches;
}
