import type { AppOperation } from "./app-reducer.ts";
import { decodeCarried, inOrder } from "./carried-state.ts";
import { formatEffectId } from "./effect-id.ts";
import type { ListedEffect } from "./effect-list.ts";
import { APP_COUNT_MAX } from "./limits.ts";
import type { SessionFold } from "./session-fold.ts";

/**
 * The operations of one namespace of a session, oldest first: those that a fork or merge brought along, then its own in
 * the order of (stamp, lane, number, key), and of all of them the latest 1,000.
 *
 * What it gives is a function of the set of operations: not of the order they came in, nor of what is stable, known by a
 * snapshot, or cold. `undefined` if nothing of the session was applied, or it was purged.
 *
 * @param known - Leaves out the operations of the session's own whose effect ids it says yes to: none of their bytes are
 * copied. What a fork or merge brought along has no id, and is always given.
 */
export function appOperations(
  fold: SessionFold,
  session: string,
  namespace: string,
  known: (effectId: string) => boolean = () => false,
): AppOperation[] | undefined {
  const entry = fold.sessions.get(session);
  if (entry === undefined) return undefined;
  const { start } = entry;
  const user = start === undefined ? {} : { user: start.sealed.user };
  const parts = start?.carried === undefined ? [] : decodeCarried(start.carried.state);
  const carried = inOrder(
    parts.map((part) => (part.apps.get(namespace) ?? []).map((app) => ({ ...app, session: part.session }))),
  );
  const own = (entry.apps.get(namespace)?.latest() ?? []).map((listed) => ({
    stamp: listed.position.stamp,
    bytes: listed.bytes ?? new Uint8Array(0),
    session,
    effectId: effectIdOf(fold, listed),
    position: { session, lane: listed.position.lane.text, seqno: listed.position.seqno },
  }));
  const operations: AppOperation[] = [];
  const kept: AppOperation[] = [...carried, ...own].slice(-APP_COUNT_MAX);
  for (const operation of kept) {
    if (operation.effectId !== undefined && known(operation.effectId)) continue;
    // The fold keeps its own: nobody may change what digests are made of.
    operations.push({
      ...operation,
      ...user,
      stamp: { ...operation.stamp },
      bytes: operation.bytes.slice(),
    });
  }
  fold.sessions.sweep();
  return operations;
}

function effectIdOf(fold: SessionFold, { effect, position }: ListedEffect): string {
  return formatEffectId(effect < 0 ? position.key : fold.effects.idOf(effect));
}
