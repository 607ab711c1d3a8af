import { compareBytes, type SignalSums } from "@tidemark/core";
import { type CarriedLane, type CarriedPart, decodeCarried, encodeCarried } from "./carried-state.ts";
import type { LaneRange, LaneState } from "./lane.ts";
import type { SessionEntry } from "./session-entry.ts";

/** One thing that a merge may leave out. */
export interface MergeItem {
  /** The session it was written in: a parent, or one that a parent was made of. */
  readonly session: string;
  readonly kind: "signal" | "prefer" | "annotate" | "search" | "app";
  /** The signal, the hint's key, the annotation's entity or the namespace; else empty. */
  readonly name: string;
}

/** Whether a merge takes a thing in. */
export type MergeFilter = (item: MergeItem) => boolean;

/** What a session is made of: its own part, and those it carries. */
export function partsOf(session: SessionEntry): CarriedPart[] {
  const own: CarriedPart = {
    session: session.id,
    stamp: session.maxStamp,
    lanes: session.lanes
      .toSorted((a, b) => (a.text < b.text ? -1 : 1))
      .map((lane) => ({ bytes: lane.bytes, ranges: rangesOf(lane) })),
    signals: session.signals,
    hints: new Map(
      [...session.hints].flatMap(([key, list]) => {
        const last = list.effects.at(-1);
        return last === undefined ? [] : [[key, { stamp: last.position.stamp, text: last.text }] as const];
      }),
    ),
    annotations: (session.annotations?.latest() ?? []).map(({ position, text, about }) => ({
      stamp: position.stamp,
      text,
      ...(about === undefined ? {} : { about }),
    })),
    searches: (session.searches?.latest() ?? []).map(({ position, text }) => ({
      stamp: position.stamp,
      text,
    })),
    apps: new Map(
      [...session.apps].map(([namespace, list]) => [
        namespace,
        list.latest().map(({ position, bytes }) => ({
          stamp: position.stamp,
          bytes: bytes ?? new Uint8Array(0),
        })),
      ]),
    ),
  };
  const { carried } = session.start ?? {};
  return carried === undefined ? [own] : [own, ...decodeCarried(carried.state)];
}

/**
 * The union of parts by effect id. An effect belongs to one session, so parts of different sessions have none in
 * common, and of two parts of one session the one that has every number of the other has all of its effects.
 *
 * @returns `undefined` and the session, where neither of two parts has all of the other: sums cannot be taken apart.
 */
export function unionParts(
  parts: readonly CarriedPart[],
): { readonly parts: CarriedPart[] } | { readonly crossed: string } {
  const union = new Map<string, CarriedPart>();
  for (const part of parts) {
    const known = union.get(part.session);
    const hasAll = known === undefined || covers(part.lanes, known.lanes);
    const lacks = known === undefined || !covers(known.lanes, part.lanes);
    if (!hasAll && lacks) return { crossed: part.session };
    // Of two with the same numbers one may have been filtered.
    if (hasAll && (lacks || sizeOf(part) > sizeOf(known))) union.set(part.session, part);
  }
  return { parts: [...union.values()] };
}

/** What a filter lets through. */
export function filterPart(part: CarriedPart, allows: MergeFilter): CarriedPart {
  const { session } = part;
  const takes = (kind: MergeItem["kind"], name: string): boolean => allows({ session, kind, name });
  const signals = new Map<string, ReadonlyMap<string, SignalSums>>();
  for (const [entity, sums] of part.signals) {
    const kept = new Map([...sums].filter(([signal]) => takes("signal", signal)));
    if (kept.size > 0) signals.set(entity, kept);
  }
  return {
    ...part,
    signals,
    hints: new Map([...part.hints].filter(([key]) => takes("prefer", key))),
    annotations: part.annotations.filter(({ about = "" }) => takes("annotate", about)),
    searches: part.searches.filter(() => takes("search", "")),
    apps: new Map([...part.apps].filter(([namespace]) => takes("app", namespace))),
  };
}

function sizeOf(part: CarriedPart): number {
  return encodeCarried([part]).length;
}

function rangesOf({ hwm, ahead = [] }: LaneState): LaneRange[] {
  return [...(hwm === 0 ? [] : [{ from: 1, to: hwm }]), ...ahead.map(({ from, to }) => ({ from, to }))];
}

function covers(lanes: readonly CarriedLane[], others: readonly CarriedLane[]): boolean {
  return others.every(({ bytes, ranges }) => {
    const held = lanes.find((lane) => compareBytes(lane.bytes, bytes) === 0)?.ranges ?? [];
    return ranges.every(({ from, to }) => held.some((range) => range.from <= from && range.to >= to));
  });
}
