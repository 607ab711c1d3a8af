import { EVERYWHERE } from "./sightings.ts";

/** A region as it shows items to users. */
export interface Shows {
  filterVisible(user: string, items: readonly string[]): Promise<readonly string[]>;
}

/** Items of one user read at a time; of a longer list a rotating part. */
export const ITEMS_READ_MAX = 512;

interface HiddenItem {
  readonly item: string;
  /** Where it stands in the user's list. */
  index: number;
  /** Regions that have applied a hide which is still in force, as bits. */
  owing: number;
}

interface UserItems {
  readonly byName: Map<string, HiddenItem>;
  readonly list: HiddenItem[];
  next: number;
}

/**
 * What may not be shown: by the recording so far, and in which region.
 *
 * The device may see no hidden item where it is. A region read without a ticket may show an item until it
 * has applied a hide of it. An item that was unhidden may be withheld as long as it takes.
 */
export class HiddenCheck {
  readonly #users = new Map<string, UserItems>();
  /** Hides on their way: line to the item, until every region has applied it or the item is unhidden. */
  readonly #underway = new Map<number, HiddenItem>();
  /** Times that a hidden item was shown. */
  shown = 0;

  /** The recording hides an item; `regions` have applied it already, as bits. */
  hide(user: string, item: string, line: number, regions: number): void {
    let items = this.#users.get(user);
    if (items === undefined) this.#users.set(user, (items = { byName: new Map(), list: [], next: 0 }));
    let entry = items.byName.get(item);
    if (entry === undefined) {
      entry = { item, index: items.list.length, owing: 0 };
      items.byName.set(item, entry);
      items.list.push(entry);
    }
    entry.owing |= regions;
    if (regions !== EVERYWHERE) this.#underway.set(line, entry);
  }

  /** The recording unhides an item. */
  unhide(user: string, item: string): void {
    const items = this.#users.get(user);
    const entry = items?.byName.get(item);
    if (items === undefined || entry === undefined) return;
    items.byName.delete(item);
    const last = items.list.pop()!;
    if (last !== entry) {
      items.list[entry.index] = last;
      last.index = entry.index;
    }
  }

  /** A region has applied a line. */
  applied(line: number, region: number, isEverywhere: boolean): void {
    const entry = this.#underway.get(line);
    if (entry === undefined) return;
    entry.owing |= 1 << region;
    if (isEverywhere) this.#underway.delete(line);
  }

  /**
   * Reads a user in every region and counts what is shown and should not be.
   *
   * @param device - The region where the device is: it has presented its ticket there.
   * @param item - Read in any case, if it is hidden.
   */
  async read(user: string, regions: readonly Shows[], device: number, item?: string): Promise<void> {
    const items = this.#users.get(user);
    if (items === undefined || items.list.length === 0) return;
    const chosen = choose(items, item);
    const read = regions.map(async (region, number) => {
      const bit = 1 << number;
      const owed = number === device ? chosen : chosen.filter(({ owing }) => (owing & bit) !== 0);
      if (owed.length === 0) return;
      const visible = await region.filterVisible(
        user,
        owed.map((entry) => entry.item),
      );
      this.shown += visible.length;
    });
    await Promise.all(read);
  }
}

function choose(items: UserItems, item: string | undefined): HiddenItem[] {
  const { list, byName } = items;
  if (list.length <= ITEMS_READ_MAX) return list;
  const first = items.next % list.length;
  items.next = first + ITEMS_READ_MAX;
  const chosen = list.slice(first, first + ITEMS_READ_MAX);
  const named = item === undefined ? undefined : byName.get(item);
  if (named !== undefined) chosen.push(named);
  return chosen;
}
