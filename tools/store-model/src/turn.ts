import type { Kv } from "@tidemark/kv";
import { openSessionStores, type SessionStore, workCompletion } from "@tidemark/session-store";

/** The session the turn is of. */
export const SESSION = "s";

/** What the turn attaches. */
export const ATTACHED: Uint8Array = Uint8Array.from({ length: 1_000 }, (_, index) => index % 256);

/**
 * One whole turn, as a worker runs it, and as it runs it again after it died: the lease, the input under its source key,
 * the claim of it, an attachment, the commit, the release. Work that was answered already is not answered again.
 */
export async function runTurn(kv: Kv, owner: string): Promise<SessionStore> {
  const stores = await openSessionStores({ kv });
  const session = await stores.create({ id: SESSION, model: "model-1" });
  const lease = await session.lease.claim({ owner, ttlMs: 600_000 });
  if (lease === undefined) throw new Error("Another holds the lease");
  await session.work.enqueue({ items: [{ payload: "hello" }], sourceKey: "input-1" });
  const [held] = await session.work.held(lease);
  const claim = held ?? (await session.work.claim({ fence: lease, boundary: "idle", max: 1 }));
  if (claim !== undefined) {
    const { id } = await session.attachments.put({ bytes: ATTACHED, uri: "memory:1", fence: lease });
    await session.commit({
      session: SESSION,
      expected: "any",
      lease,
      config: { provider: "provider-1", model: "model-1" },
      graph: { type: "append", nodes: [{ id: "node-1", timestamp: 0, payload: "answer" }], leaf: "node-1" },
      turn: { session: SESSION, turn: "turn-1" },
      completed: [workCompletion(claim)],
      attachments: [id],
    });
  }
  await session.lease.release(lease);
  return session;
}
