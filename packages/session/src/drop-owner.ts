import type { SignalSums } from "@tidemark/core";
import { comparePositions } from "./effect-list.ts";
import { LazyMap } from "./lazy-map.ts";
import type { SessionEntry } from "./session-entry.ts";

type Signals = SessionEntry["signals"];

/**
 * Takes away from a session all that is under an owner's key.
 *
 * @returns How many starts beyond the first went with it.
 */
export function dropOwner(session: SessionEntry, owner: string): number {
  const { starts, hints, apps } = session;
  const before = Math.max(0, starts.length - 1);
  const left = starts.filter((start) => start.owner !== owner);
  starts.splice(0, starts.length, ...left);
  session.start = left.toSorted((a, b) => comparePositions(a.position, b.position))[0];
  dropSignals(session, owner);
  if (session.annotations?.drop(owner) === false) session.annotations = undefined;
  if (session.searches?.drop(owner) === false) session.searches = undefined;
  for (const lists of [hints, apps]) {
    for (const [name, list] of [...lists]) if (!list.drop(owner)) lists.delete(name);
  }
  return before - Math.max(0, starts.length - 1);
}

/**
 * Remembers whose a signal is that was just added to the session's. Sums cannot be taken apart again: from the second
 * owner on, each has sums of their own as well.
 *
 * @param add - Adds the same to other sums.
 */
export function ownSignal(
  session: SessionEntry,
  owner: string,
  before: Signals,
  add: (to: Signals) => void,
): void {
  if (session.signalsBy === undefined) {
    session.signalsOwner ??= owner;
    if (session.signalsOwner === owner) return;
    session.signalsBy = new Map([[session.signalsOwner, before]]);
  }
  let own = session.signalsBy.get(owner);
  if (own === undefined) session.signalsBy.set(owner, (own = new LazyMap()));
  add(own);
}

/** A copy of all sums. */
export function copySignals(signals: Signals): Signals {
  const copy: Signals = new LazyMap();
  for (const [entity, sums] of signals) {
    const copies = new LazyMap<string, SignalSums>();
    for (const [signal, sum] of sums) copies.set(signal, sum.copy());
    copy.set(entity, copies);
  }
  return copy;
}

function dropSignals(session: SessionEntry, owner: string): void {
  const { signals, signalsBy } = session;
  if (signalsBy === undefined) {
    if (session.signalsOwner !== owner) return;
    signals.clear();
    session.signalsOwner = undefined;
    return;
  }
  if (!signalsBy.delete(owner)) return;
  signals.clear();
  for (const own of signalsBy.values()) {
    for (const [entity, sums] of own) {
      let total = signals.get(entity);
      if (total === undefined) signals.set(entity, (total = new LazyMap()));
      for (const [signal, sum] of sums) {
        const all = total.get(signal);
        if (all === undefined) total.set(signal, sum.copy());
        else all.addAll(sum);
      }
    }
  }
  if (signalsBy.size > 1) return;
  session.signalsOwner = [...signalsBy.keys()][0];
  session.signalsBy = undefined;
}
