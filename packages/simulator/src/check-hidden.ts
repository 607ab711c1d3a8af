import { type Evidence, placeOf, REMOVAL_OF } from "./evidence.ts";
import type { HistoryPosition, ReadEvent } from "./history-events.ts";
import { Knowledge } from "./knowledge.ts";
import { modelHidden } from "./model.ts";
import { Violation } from "./violation.ts";

/** A hide, mute or block, or a removal of one, as far as it is known. */
interface HideOp {
  readonly position: HistoryPosition;
  readonly kind: string;
  readonly user: string;
  readonly item: string;
  readonly effect?: string | undefined;
  /** What a removal had seen; absent where that cannot be read. */
  readonly dots?: ReadonlySet<string> | undefined;
}

/**
 * E: a hidden item is hidden at every read in a region that has applied the hide, until a removal that had seen it is
 * known to every member; and in the end exactly what the hides and removals say is hidden.
 */
export function* checkHidden(evidence: Evidence): Generator<Violation> {
  const ops = hideOps(evidence);
  const knowledge = new Knowledge(evidence);
  for (const event of evidence.events) {
    knowledge.step(event);
    if (event.type !== "read" || evidence.erased.has(event.user)) continue;
    for (const item of event.visible) yield* checkVisible(event, item, ops, knowledge);
  }
  yield* checkFinals(evidence);
}

function* checkVisible(
  { region, user, index }: ReadEvent,
  item: string,
  ops: ReadonlyMap<string, readonly HideOp[]>,
  knowledge: Knowledge,
): Generator<Violation> {
  const about = ops.get(`${user}\n${item}`) ?? [];
  for (const hide of about) {
    if (REMOVAL_OF[hide.kind] !== undefined || knowledge.knows(region, hide.position) !== true) continue;
    const lifted = about.some(
      (removal) =>
        REMOVAL_OF[removal.kind] === hide.kind &&
        (removal.dots === undefined || hide.effect === undefined || removal.dots.has(hide.effect)) &&
        knowledge.mayBeStable(removal.position),
    );
    if (!lifted)
      yield new Violation("E", `${region} showed ${item} to ${user}, who had hidden it`, {
        read: index,
        hide,
      });
  }
}

/** Every hide and removal whose place is known, by user and item. */
function hideOps(evidence: Evidence): Map<string, HideOp[]> {
  const ops = new Map<string, HideOp[]>();
  const add = (op: HideOp): void => {
    const about = `${op.user}\n${op.item}`;
    const list = ops.get(about);
    if (list === undefined) ops.set(about, [op]);
    else list.push(op);
  };
  const stored = new Set<string>();
  for (const [place, all] of evidence.ops)
    for (const { op } of all) {
      const { kind, effect, content = {}, session, lane, seqno } = op;
      if (!isHide(kind) || content.user === undefined || content.item === undefined) continue;
      stored.add(place);
      const dots = content.dots === undefined ? undefined : new Set(content.dots);
      add({ position: { session, lane, seqno }, kind, user: content.user, item: content.item, effect, dots });
    }
  // Where logs were trimmed or are sealed, what clients were told says the rest.
  for (const write of evidence.writes) {
    const { outcome, operation: kind, user, item } = write;
    if (!isHide(kind) || item === undefined || outcome?.kind !== "applied") continue;
    const { position, effectId: effect } = outcome;
    if (position !== undefined && !stored.has(placeOf(position))) add({ position, kind, user, item, effect });
  }
  return ops;
}

function isHide(kind: string): boolean {
  return kind === "hide" || kind === "mute" || kind === "block" || REMOVAL_OF[kind] !== undefined;
}

function* checkFinals(evidence: Evidence): Generator<Violation> {
  const effects = [...evidence.effects.values()].filter(({ first }) => isHide(first.operation));
  const ops = [...evidence.ops.values()].flat().map(({ op }) => op);
  for (const { region, users } of evidence.finals) {
    for (const [user, { hidden }] of Object.entries(users)) {
      if (evidence.erased.has(user)) continue;
      const exact = evidence.complete && !evidence.sealed ? modelHidden(ops, user) : undefined;
      const asked = new Set(effects.flatMap(({ first }) => (first.user === user ? (first.item ?? []) : [])));
      for (const item of new Set([...asked, ...hidden, ...(exact ?? [])])) {
        const about = effects.filter(({ first }) => first.user === user && first.item === item);
        const certain = about.some(
          ({ first, certain: happens }) =>
            happens &&
            REMOVAL_OF[first.operation] === undefined &&
            !about.some((other) => REMOVAL_OF[other.first.operation] === first.operation),
        );
        const possible = about.some(({ first }) => REMOVAL_OF[first.operation] === undefined);
        const shown = hidden.includes(item);
        if (!shown && (certain || exact?.has(item) === true))
          yield new Violation("E", `${region} shows ${item} in the end, which ${user} has hidden`, {
            item,
            user,
          });
        if (shown && (!possible || exact?.has(item) === false))
          yield new Violation("E", `${region} hides ${item} in the end, which ${user} may see`, {
            item,
            user,
          });
      }
    }
  }
}
