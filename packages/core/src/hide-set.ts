import { ByteWriter } from "./byte-writer.ts";
import { compareUtf8, guardText } from "./compare.ts";
import { type HideKind, HideCells, HIDE_KIND_CODE, settledDots, unnamedDots } from "./hide-cells.ts";
import { guardEffectKey } from "./hide-ids.ts";
import { type ForgetsDot, HideUnhides } from "./hide-unhides.ts";
import { decodeHideState, encodeHideState, writeDotCells } from "./hide-state-codec.ts";

const DIGEST_VERSION = 1;

/**
 * What one user never wants to see again: an observed-remove set in which **the hide wins**.
 *
 * Each hide is a dot. An unhide names the dots it has seen and takes effect only once it is *stable*, that is known
 * everywhere; until then the item stays hidden. A hide that an unhide had not seen survives it. No stamp is compared:
 * the state is a function of the set of operations and of which unhides are stable, whatever the order of arrival.
 *
 * Dots and unhide ids are effect ids as {@link effectKey} makes them (16 latin1 characters).
 *
 * @example
 * ```ts
 * const [dot, unhide] = ["0123456789abcdef", "fedcba9876543210"];
 * const hides = new HideSet();
 * hides.hide("hide", "spoiler", dot);
 * hides.unhide("hide", "spoiler", hides.observed("hide", "spoiler"), unhide);
 * assert.equal(hides.isHidden("spoiler"), true); // Not stable yet.
 * assert.equal(hides.pending.has("spoiler"), true);
 * hides.settle(unhide);
 * assert.equal(hides.isHidden("spoiler"), false);
 * ```
 */
export class HideSet {
  readonly #cells: HideCells = new HideCells();
  readonly #unhides: HideUnhides = new HideUnhides(this.#cells);

  /** Items hidden under any kind: a live view, for a loop that asks `has` a thousand times. */
  get hiddenItems(): ReadonlySet<string> {
    return this.#cells.hidden;
  }

  /** Items withheld only because an unhide is not stable yet: a live view, a part of `hiddenItems`. */
  get pending(): ReadonlySet<string> {
    return this.#cells.pending;
  }

  /** Whether any dot of any kind is live; one lookup. */
  isHidden(item: string): boolean {
    return this.#cells.hidden.has(item);
  }

  /** Hidden items, by the order of their UTF-8 bytes. */
  hidden(): string[] {
    return [...this.#cells.hidden].sort(compareUtf8);
  }

  /** The dots an unhide of this item must name: those known here and not gone for good. Ascending. */
  observed(kind: HideKind, item: string): string[] {
    return this.#cells.live(kind, item);
  }

  /**
   * Those of the observed dots that no known unhide names: what is left to be named. The others are removed by the
   * unhides that name them.
   */
  unnamed(kind: HideKind, item: string): string[] {
    return this.#cells.unnamed(kind, item);
  }

  /** Whether nothing is remembered. */
  get isEmpty(): boolean {
    return this.#cells.size === 0 && this.#unhides.size === 0;
  }

  /** Ids of the unhides that wait to be stable, ascending. */
  pendingUnhides(): string[] {
    return this.#unhides.pendingIds();
  }

  /**
   * Takes in a hide; returns whether it changed anything. One that is known, or whose dot a stable unhide has removed,
   * changes nothing.
   *
   * @throws `RangeError`, `TypeError` if an argument is not what the types say.
   */
  hide(kind: HideKind, item: string, dot: string): boolean {
    return this.#cells.know(guardKind(kind), guardText(item, "item"), guardEffectKey(dot, "dot"));
  }

  /**
   * Takes in an unhide of the dots it observed, which may arrive after it; returns whether it changed anything. If two
   * unhides claim one id, the union of their dots counts, so that arrival order does not.
   *
   * @throws `RangeError`, `TypeError` if an argument is not what the types say.
   */
  unhide(kind: HideKind, item: string, observedDots: Iterable<string>, unhideId: string): boolean {
    const dots = [...observedDots];
    for (const dot of dots) guardEffectKey(dot, "dot");
    return this.#unhides.add(
      guardEffectKey(unhideId, "unhideId"),
      guardKind(kind),
      guardText(item, "item"),
      dots,
    );
  }

  /**
   * One unhide is known everywhere: its dots are removed. An id not known here changes nothing and returns `false`.
   *
   * @param forgets - Left out, all is remembered, as `merge` needs it: a state that is behind may still hold the dots.
   * Given, the caller promises that this unhide is not added again and states are not merged; it is asked for each dot
   * whose hide is known whether that hide, too, will never be added again, and then the dot is forgotten.
   */
  settle(unhideId: string, forgets?: ForgetsDot): boolean {
    return this.#unhides.settle(unhideId, forgets);
  }

  /** Forgets a dot that a stable unhide has removed, on the same promise; returns whether there was one. */
  forget(kind: HideKind, item: string, dot: string): boolean {
    return this.#unhides.forget(kind, item, dot);
  }

  /** The dots that stable unhides have removed and that are remembered, because their hides might be added again. */
  *settled(): Iterable<{ readonly kind: HideKind; readonly item: string; readonly dot: string }> {
    for (const cell of this.#cells.sorted()) {
      for (const dot of settledDots(cell)) yield { kind: cell.kind, item: cell.item, dot };
    }
  }

  /** Every dot that is remembered, known or not. */
  *dots(): Iterable<string> {
    for (const cell of this.#cells.sorted()) yield* cell.dots.keys();
  }

  /** Settles every pending unhide that is stable; returns how many. */
  stabilise(isStable: (unhideId: string) => boolean): number {
    let count = 0;
    for (const id of this.#unhides.pendingIds()) {
      if (isStable(id) && this.#unhides.settle(id)) count += 1;
    }
    return count;
  }

  /** Takes in all the other set knows; returns whether it changed anything. */
  merge(other: HideSet): boolean {
    const cellsChanged = this.#cells.merge(other.#cells);
    return this.#unhides.merge(other.#unhides) || cellsChanged;
  }

  /**
   * The full state in canonical bytes: equal states, equal bytes. A *dot list* is a varint count and 16 bytes a dot,
   * strictly ascending; a *place* is u8 kind (1 hide, 2 mute, 3 block) and item `text`.
   *
   * | type     | field    | notes                                                                           |
   * | :------- | :------- | :------------------------------------------------------------------------------ |
   * | u8       | version  | 1                                                                               |
   * | varint   | cells    | each: place, dot list known and not settled, dot list settled; not both empty   |
   * | varint   | pending  | each: unhide id 16, place, dot list it names; ascending by (id, kind, item)     |
   * | dot list | settled  | ids of the stable unhides                                                       |
   *
   * Cells ascend by (kind, UTF-8 bytes of the item).
   */
  encode(): Uint8Array {
    return encodeHideState(this.#cells, this.#unhides);
  }

  /** The exact inverse of {@link HideSet.encode}. @throws {@link CoreError} `DECODE_FAILED`. */
  static decode(bytes: Uint8Array): HideSet {
    const set = new HideSet();
    decodeHideState(bytes, set.#cells, set.#unhides);
    return set;
  }

  /**
   * What a state digest covers: the dots that no known unhide names. Depends on the set of operations alone, not on
   * what is stable.
   *
   * u8 version 1, varint count of cells, each: u8 kind, item `text`, dot list; ascending, none empty.
   */
  digestBytes(): Uint8Array {
    const writer = new ByteWriter();
    writer.u8(DIGEST_VERSION);
    writeDotCells(writer, this.#cells.sorted(), [unnamedDots]);
    return writer.take();
  }
}

function guardKind(kind: HideKind): HideKind {
  if (!Object.hasOwn(HIDE_KIND_CODE, kind)) throw new TypeError(`kind must be hide, mute or block: ${kind}`);
  return kind;
}
