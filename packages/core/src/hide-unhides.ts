import { compareUtf8 } from "./compare.ts";
import { HIDE_KIND_CODE, type HideCells, type HideKind } from "./hide-cells.ts";

/** What one unhide names in one place. */
export interface HideRemoval {
  readonly kind: HideKind;
  readonly item: string;
  readonly dots: Set<string>;
}

/** Whether a dot that a stable unhide has removed can be forgotten. */
export type ForgetsDot = (kind: HideKind, item: string, dot: string) => boolean;

/**
 * The unhides known: what the pending ones name, and the ids of the stable ones, whose dots the cells remember. An
 * honest id names one place; one that names several is kept whole all the same, for order must not matter.
 */
export class HideUnhides {
  readonly #cells: HideCells;
  readonly #pending: Map<string, HideRemoval[]> = new Map();
  readonly #settled: Set<string> = new Set();

  constructor(cells: HideCells) {
    this.#cells = cells;
  }

  add(id: string, kind: HideKind, item: string, dots: Iterable<string>): boolean {
    let changed = false;
    if (this.#settled.has(id)) {
      for (const dot of dots) changed = this.#cells.settle(kind, item, dot) || changed;
      return changed;
    }
    let removals = this.#pending.get(id);
    if (removals === undefined) this.#pending.set(id, (removals = []));
    let removal = removals.find((known) => known.kind === kind && known.item === item);
    if (removal === undefined) {
      removal = { kind, item, dots: new Set() };
      removals.push(removal);
      changed = true;
    }
    for (const dot of dots) {
      if (removal.dots.has(dot)) continue;
      removal.dots.add(dot);
      this.#cells.name(kind, item, dot);
      changed = true;
    }
    return changed;
  }

  settle(id: string, forgets?: ForgetsDot): boolean {
    const removals = this.#pending.get(id);
    if (removals === undefined) return false;
    this.#pending.delete(id);
    if (forgets === undefined) this.#settled.add(id);
    for (const { kind, item, dots } of removals) {
      for (const dot of dots) {
        // A hide that has not come yet is to be told from one that is gone.
        const known = this.#cells.isLive(kind, item, dot);
        this.#cells.settle(kind, item, dot);
        if (known && forgets?.(kind, item, dot) === true) this.forget(kind, item, dot);
      }
    }
    return true;
  }

  /** Forgets a settled dot, also where another unhide names it. */
  forget(kind: HideKind, item: string, dot: string): boolean {
    if (!this.#cells.forget(kind, item, dot)) return false;
    for (const removals of this.#pending.values()) {
      for (const removal of removals)
        if (removal.kind === kind && removal.item === item) removal.dots.delete(dot);
    }
    return true;
  }

  /** Unhides known, pending or not. */
  get size(): number {
    return this.#pending.size + this.#settled.size;
  }

  /** Takes in an id that is stable elsewhere; the cells bring its dots. */
  addSettled(id: string): boolean {
    if (this.#settled.has(id) || this.settle(id)) return false;
    this.#settled.add(id);
    return true;
  }

  merge(other: HideUnhides): boolean {
    let changed = false;
    for (const id of other.#settled) {
      if (this.#settled.has(id)) continue;
      if (!this.settle(id)) this.#settled.add(id);
      changed = true;
    }
    for (const [id, removals] of other.#pending) {
      for (const { kind, item, dots } of removals) changed = this.add(id, kind, item, dots) || changed;
    }
    return changed;
  }

  isPending(id: string): boolean {
    return this.#pending.has(id);
  }

  pendingIds(): string[] {
    return [...this.#pending.keys()].sort();
  }

  /** What a pending unhide names, by kind and item. */
  removals(id: string): HideRemoval[] {
    return [...(this.#pending.get(id) ?? [])].sort(
      (a, b) => HIDE_KIND_CODE[a.kind] - HIDE_KIND_CODE[b.kind] || compareUtf8(a.item, b.item),
    );
  }

  settledIds(): string[] {
    return [...this.#settled].sort();
  }
}
