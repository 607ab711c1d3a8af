import { compareUtf8 } from "./compare.ts";

/** The three hard negatives. Each is lifted only by a removal of its own kind. */
export type HideKind = "hide" | "mute" | "block";

/** The number of a kind in bytes. */
export const HIDE_KIND_CODE: { readonly hide: 1; readonly mute: 2; readonly block: 3 } = {
  hide: 1,
  mute: 2,
  block: 3,
};

/** The kind of a code, or `undefined`. */
export function hideKindOf(code: number): HideKind | undefined {
  return code === 1 ? "hide" : code === 2 ? "mute" : code === 3 ? "block" : undefined;
}

/** The dot's hide is known. */
const KNOWN = 1;
/** A known unhide names the dot. */
const NAMED = 2;
/** A stable unhide names the dot: it is gone for good, known or not. */
const SETTLED = 4;

/** The dots of one item under one kind. */
export interface HideCell {
  readonly kind: HideKind;
  readonly item: string;
  /** Dot to flags. */
  readonly dots: Map<string, number>;
}

/** What the dots of an item come to, over all kinds. */
interface ItemTally {
  /** Dots that hide it now. */
  live: number;
  /** Those of them that no known unhide names. */
  unnamed: number;
}

/**
 * Every dot with its flags, and the two sets that reading takes: kept up to date with each change, so that a read
 * costs one lookup whatever the history.
 */
export class HideCells {
  /** Items with a live dot. */
  readonly hidden: Set<string> = new Set();
  /** Hidden items whose live dots are all named by an unhide that is not stable. */
  readonly pending: Set<string> = new Set();
  readonly #cells: Map<string, HideCell> = new Map();
  readonly #tallies: Map<string, ItemTally> = new Map();

  know(kind: HideKind, item: string, dot: string): boolean {
    return this.#flag(kind, item, dot, KNOWN);
  }

  name(kind: HideKind, item: string, dot: string): boolean {
    return this.#flag(kind, item, dot, NAMED);
  }

  settle(kind: HideKind, item: string, dot: string): boolean {
    return this.#flag(kind, item, dot, SETTLED);
  }

  /** Known dots that are not settled, ascending. */
  live(kind: HideKind, item: string): string[] {
    const cell = this.#cells.get(cellKey(kind, item));
    return cell === undefined ? [] : liveDots(cell);
  }

  /** Known dots that no known unhide names, ascending. */
  unnamed(kind: HideKind, item: string): string[] {
    const cell = this.#cells.get(cellKey(kind, item));
    return cell === undefined ? [] : unnamedDots(cell);
  }

  /** Whether a dot's hide is known and not settled. */
  isLive(kind: HideKind, item: string, dot: string): boolean {
    return isLive(this.#cells.get(cellKey(kind, item))?.dots.get(dot) ?? 0);
  }

  /** Forgets a settled dot: whoever asks knows that its hide does not come again. */
  forget(kind: HideKind, item: string, dot: string): boolean {
    const key = cellKey(kind, item);
    const cell = this.#cells.get(key);
    if (cell?.dots.get(dot) !== SETTLED) return false;
    cell.dots.delete(dot);
    if (cell.dots.size === 0) this.#cells.delete(key);
    return true;
  }

  /** Cells with a dot of any kind. */
  get size(): number {
    return this.#cells.size;
  }

  /** All cells by kind, then by the bytes of the item. */
  sorted(): HideCell[] {
    return [...this.#cells.values()].sort(
      (a, b) => HIDE_KIND_CODE[a.kind] - HIDE_KIND_CODE[b.kind] || compareUtf8(a.item, b.item),
    );
  }

  /** Takes in the known and the settled dots of others; names come with the unhides that hold them. */
  merge(other: HideCells): boolean {
    let changed = false;
    for (const { kind, item, dots } of other.#cells.values()) {
      for (const [dot, flags] of dots) {
        const news = flags & (SETTLED | KNOWN);
        if (news !== 0) changed = this.#flag(kind, item, dot, news) || changed;
      }
    }
    return changed;
  }

  #flag(kind: HideKind, item: string, dot: string, flag: number): boolean {
    const key = cellKey(kind, item);
    let cell = this.#cells.get(key);
    if (cell === undefined) {
      cell = { kind, item, dots: new Map() };
      this.#cells.set(key, cell);
    }
    const before = cell.dots.get(dot) ?? 0;
    // A settled dot stays as it is: whether its hide ever arrives changes nothing.
    const after = (before | flag) & SETTLED ? SETTLED : before | flag;
    if (after === before) return false;
    cell.dots.set(dot, after);
    const live = Number(isLive(after)) - Number(isLive(before));
    const unnamed = Number(after === KNOWN) - Number(before === KNOWN);
    if (live !== 0 || unnamed !== 0) this.#count(item, live, unnamed);
    return true;
  }

  #count(item: string, live: number, unnamed: number): void {
    const tally = this.#tallies.get(item) ?? { live: 0, unnamed: 0 };
    tally.live += live;
    tally.unnamed += unnamed;
    if (tally.live > 0) {
      this.#tallies.set(item, tally);
      this.hidden.add(item);
    } else {
      this.#tallies.delete(item);
      this.hidden.delete(item);
    }
    if (tally.live > 0 && tally.unnamed === 0) this.pending.add(item);
    else this.pending.delete(item);
  }
}

/** Known dots of a cell that are not settled, ascending. */
export function liveDots(cell: HideCell): string[] {
  return dotsWhere(cell, isLive);
}

/** Known dots of a cell that no known unhide names, ascending. */
export function unnamedDots(cell: HideCell): string[] {
  return dotsWhere(cell, (flags) => flags === KNOWN);
}

/** Dots of a cell that are gone for good, ascending. */
export function settledDots(cell: HideCell): string[] {
  return dotsWhere(cell, (flags) => flags === SETTLED);
}

function dotsWhere(cell: HideCell, claim: (flags: number) => boolean): string[] {
  const dots: string[] = [];
  for (const [dot, flags] of cell.dots) if (claim(flags)) dots.push(dot);
  return dots.sort();
}

function isLive(flags: number): boolean {
  return (flags & (KNOWN | SETTLED)) === KNOWN;
}

/** One character for the kind keeps keys of different kinds apart whatever the item holds. */
function cellKey(kind: HideKind, item: string): string {
  return kind.charAt(0) + item;
}
