import type { Channel, RegionId } from "@tidemark/core";
import type { Vector } from "@tidemark/wal";
import type { DigestDetail, DigestObjectEntry } from "./digest-parts.ts";
import { equalBytes } from "./equal-bytes.ts";

/** An object that two regions have folded differently. Its id is for whoever mends it, never a label. */
export interface DivergedObject {
  readonly channel: Channel;
  /** 1 session, 2 a user's hides, and so on: see formats.md. */
  readonly kind: number;
  readonly id: string;
  /** Its digest here; absent where it does not exist. */
  readonly ours: Uint8Array | undefined;
  readonly theirs: Uint8Array | undefined;
}

/** Two states at one vector, narrowed down to what differs. */
export interface DivergenceReport {
  readonly peer: RegionId;
  readonly vector: Vector;
  /** Slots that differ, over all channels. */
  readonly slots: number;
  readonly objects: readonly DivergedObject[];
  /** There are more: only the first slots were looked into. */
  readonly truncated: boolean;
  /** Objects by kind: for a line of a log, or a label. */
  readonly countByKind: ReadonlyMap<number, number>;
  /** The other side has replayed its logs from their beginning: its state is not the one that went wrong on disk. */
  readonly peerReplayed: boolean;
}

/** One answer about slots. */
export interface SlotsAnswer {
  readonly vector: Vector;
  readonly digest: Uint8Array;
  readonly slots: readonly { readonly slot: number; readonly digest: Uint8Array }[];
  readonly objects: readonly DigestObjectEntry[];
  readonly truncated: boolean;
  readonly replayed: boolean;
}

/** What {@link narrowDivergence} asks; both sides answer for the vector they are at. */
export interface DivergenceSources {
  readonly peer: RegionId;
  readonly channels: readonly Channel[];
  /** `undefined` when the other side cannot tell. */
  readonly theirs: (slots: readonly number[], detail: DigestDetail) => Promise<SlotsAnswer | undefined>;
  /** Called in the turn in which an answer arrived. */
  readonly ours: (slots: readonly number[], detail: DigestDetail) => SlotsAnswer;
  /** Slots in one question. */
  readonly slotsPerAsk: number;
}

const SLOTS = 4_096;
/** Slots that are looked into: what went wrong shows in few of them. */
const SLOTS_LOOKED_INTO_MAX = 64;

/**
 * Narrows two states at one vector to the objects that differ: the digests of all slots, then of the objects in those that
 * differ. Two round trips a channel, whatever the size of the state.
 *
 * @returns the report; `"moved"` when a vector moved on meanwhile, so that nothing can be said; `"equal"`; `undefined` when
 * the other side cannot tell.
 */
export async function narrowDivergence(
  sources: DivergenceSources,
): Promise<DivergenceReport | "moved" | "equal" | undefined> {
  const { peer, channels, theirs, ours, slotsPerAsk } = sources;
  const objects: DivergedObject[] = [];
  let [slotCount, truncated, peerReplayed] = [0, false, false];
  let vector: Vector | undefined;
  for (const channel of channels) {
    const differing: number[] = [];
    for (let first = 0; first < SLOTS; first += slotsPerAsk) {
      const asked = range(first, Math.min(first + slotsPerAsk, SLOTS));
      const pair = await ask(sources, asked, { channel, of: "slots" });
      if (pair === undefined || pair === "moved") return pair;
      if (equalBytes(pair.ours.digest, pair.theirs.digest)) return "equal";
      vector = pair.theirs.vector;
      peerReplayed = pair.theirs.replayed;
      const [here, there] = [pair.ours, pair.theirs].map(
        ({ slots }) => new Map(slots.map(({ slot, digest }) => [slot, digest])),
      );
      differing.push(...asked.filter((slot) => !same(here?.get(slot), there?.get(slot))));
    }
    slotCount += differing.length;
    truncated ||= differing.length > SLOTS_LOOKED_INTO_MAX;
    const looked = differing.slice(0, SLOTS_LOOKED_INTO_MAX);
    if (looked.length === 0) continue;
    const pair = await ask({ ...sources, theirs, ours }, looked, { channel, of: "objects" });
    if (pair === undefined || pair === "moved") return pair;
    truncated ||= pair.theirs.truncated || pair.ours.truncated;
    objects.push(...differingObjects(channel, pair.ours.objects, pair.theirs.objects));
  }
  if (vector === undefined) return undefined;
  const countByKind = new Map<number, number>();
  for (const { kind } of objects) countByKind.set(kind, (countByKind.get(kind) ?? 0) + 1);
  return { peer, vector, slots: slotCount, objects, truncated, countByKind, peerReplayed };
}

async function ask(
  { theirs, ours }: DivergenceSources,
  slots: readonly number[],
  detail: DigestDetail,
): Promise<{ ours: SlotsAnswer; theirs: SlotsAnswer } | "moved" | undefined> {
  const answer = await theirs(slots, detail);
  if (answer === undefined) return undefined;
  const own = ours(slots, detail);
  const still = own.vector.covers(answer.vector) && answer.vector.covers(own.vector);
  return still ? { ours: own, theirs: answer } : "moved";
}

function differingObjects(
  channel: Channel,
  ours: readonly DigestObjectEntry[],
  theirs: readonly DigestObjectEntry[],
): DivergedObject[] {
  const key = ({ kind, id }: DigestObjectEntry): string => `${kind} ${id}`;
  const there = new Map(theirs.map((object) => [key(object), object]));
  const here = new Map(ours.map((object) => [key(object), object]));
  return [...new Map([...there, ...here])]
    .filter(([name]) => !same(here.get(name)?.digest, there.get(name)?.digest))
    .map(([name, { kind, id }]) => ({
      channel,
      kind,
      id,
      ours: here.get(name)?.digest,
      theirs: there.get(name)?.digest,
    }));
}

function same(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : equalBytes(a, b);
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, at) => from + at);
}
