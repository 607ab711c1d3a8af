import type { SessionTable } from "./session-table.ts";
import type { UserEntry } from "./user-entry.ts";

/** Options of {@link UserView.sessions}. */
export interface UserSessionsOptions {
  /** Only open, or only closed ones. */
  readonly open?: boolean;
  /** @defaultValue 100 */
  readonly limit?: number;
  /** Begins behind this id. */
  readonly after?: string;
  /** Whether sessions of an agent are wanted. @defaultValue of every agent */
  readonly ofAgent?: (agent: string) => boolean;
}

const NOTHING: ReadonlySet<string> = new Set();

/** What can be read of a user, across sessions; a user nothing is known of has nothing hidden. */
export class UserView {
  readonly id: string;
  readonly #find: (id: string) => UserEntry | undefined;
  readonly #sessions: Pick<SessionTable, "get" | "isClosed">;

  constructor(
    id: string,
    find: (id: string) => UserEntry | undefined,
    sessions: Pick<SessionTable, "get" | "isClosed">,
  ) {
    this.id = id;
    this.#find = find;
    this.#sessions = sessions;
  }

  /** Items hidden, muted or blocked, by the order of their UTF-8 bytes. */
  hidden(): string[] {
    return this.#find(this.id)?.hides.hidden() ?? [];
  }

  /** How many items stay hidden only because an unhide is not known everywhere yet. */
  withheld(): number {
    return this.#find(this.id)?.hides.pending.size ?? 0;
  }

  /** The items that may be shown, in the order given: one lookup an item. */
  filterVisible<Item>(items: readonly Item[], itemOf?: (item: Item) => string): Item[] {
    const hidden = this.#find(this.id)?.hiddenItems ?? NOTHING;
    const visible: Item[] = [];
    if (itemOf === undefined) {
      for (const item of items) if (!hidden.has(item as string)) visible.push(item);
    } else {
      for (const item of items) if (!hidden.has(itemOf(item))) visible.push(item);
    }
    return visible;
  }

  /** Ids of the user's sessions in order of the id. */
  sessions(options: UserSessionsOptions = {}): string[] {
    const { open, limit = 100, after, ofAgent } = options;
    const ids: string[] = [];
    for (const id of this.#find(this.id)?.sessions ?? []) {
      if (open !== undefined && open === this.#sessions.isClosed(id)) continue;
      if (after !== undefined && id <= after) continue;
      if (ofAgent?.(this.#sessions.get(id)?.start?.sealed.agent ?? "") !== false) ids.push(id);
    }
    return ids.sort().slice(0, limit);
  }
}
