import { type Hasher, nobleHasher, equalBytes } from "@tidemark/core";
import type { Kv, KvItem, KvKey, Partition } from "@tidemark/kv";
import {
  openRecordCommits,
  type RecordCommits,
  type SessionJournal,
  SessionTurns,
} from "@tidemark/session-store";
import { ExpressSessionError } from "./errors.ts";
import { type DueSession, ExpiryIndex } from "./expiry-index.ts";
import { busy, COOKIE_KEY, fieldKey, REGISTER_KEY, RowCodec, type SessionRows } from "./session-rows.ts";

const ATTEMPTS_MAX = 16;
/** Longer names of fields do not fit beside what a key holds. */
const NAME_BYTES_MAX = 256;

const NO_ROWS: SessionRows = { register: undefined, cookie: undefined, fields: [] };

const utf8 = new TextEncoder();

/** What a session says, as text. */
export interface SessionContent {
  /** The cookie as JSON; empty for none. */
  readonly cookie: string;
  /** The other fields by name, as JSON. */
  readonly fields: ReadonlyMap<string, string>;
}

/** What was read of a session: what a save is compared with. */
export interface LoadedSession {
  readonly life: Uint8Array;
  readonly fields: ReadonlyMap<string, string>;
}

/** What became of a save; without `loaded` nothing was written, since the session that was loaded is gone. */
export interface SavedSession {
  readonly loaded: LoadedSession | undefined;
}

/** What a {@link SessionTable} is made of. */
export interface SessionTableOptions {
  readonly kv: Kv;
  readonly prefix: string;
  readonly journal: SessionJournal | undefined;
  readonly hasher: Hasher | undefined;
  readonly random: (length: number) => Uint8Array;
  /** How long a session is over before it is removed. */
  readonly graceMs: number;
}

/**
 * Sessions as rows: a save writes the fields that changed since they were loaded, and no others. The calls for one
 * session that change it follow one another, and a read waits for those that came before.
 */
export class SessionTable {
  readonly #kv: Kv;
  readonly #prefix: string;
  readonly #graceMs: number;
  readonly #commits: RecordCommits;
  readonly #rows: RowCodec;
  readonly #index: ExpiryIndex;
  readonly #turns: SessionTurns = new SessionTurns();

  constructor({ kv, prefix, journal, hasher = nobleHasher, random, graceMs }: SessionTableOptions) {
    this.#kv = kv;
    this.#prefix = prefix;
    this.#graceMs = graceMs;
    this.#commits = openRecordCommits({ kv, journal, namespace: prefix, hasher, random });
    this.#rows = new RowCodec(kv, hasher, random);
    this.#index = new ExpiryIndex(kv, hasher, `${prefix}.expiry`);
  }

  /** The session, unless it is not there, or over. */
  async load(id: string): Promise<(LoadedSession & { readonly cookie: string }) | undefined> {
    const partition = this.#partition(id);
    await this.#turns.idle(id);
    await this.#commits.arrive(id);
    const [rows, nowMs] = await Promise.all([this.#rows.readAll(partition), this.#kv.nowMs()]);
    const live = this.#rows.live(partition, rows, nowMs);
    if (live === undefined) return undefined;
    const fields = this.#rows.fieldsOf(partition, rows.fields, live.life);
    return { life: live.life, cookie: live.cookie, fields };
  }

  /**
   * Writes what changed since it was loaded; without `loaded` the session becomes what is given, and is made if it is
   * not there. One commit.
   */
  save(
    id: string,
    content: SessionContent,
    { lastsMs, loaded }: { readonly lastsMs: number; readonly loaded: LoadedSession | undefined },
  ): Promise<SavedSession> {
    return this.#turns.run(id, async () => {
      const partition = this.#partition(id);
      await this.#commits.arrive(id);
      for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        const [found, nowMs] = await this.#read(partition, loaded === undefined);
        let rows = found;
        const live = this.#rows.live(partition, rows, nowMs);
        if (loaded !== undefined && (live === undefined || !equalBytes(live.life, loaded.life))) {
          return { loaded: undefined };
        }
        if (live === undefined && !isEmpty(rows)) {
          // What is left of a life before.
          if (!(await this.#remove(id, partition, rows, []))) continue;
          rows = NO_ROWS;
        }
        const life = live?.life ?? this.#rows.newLife();
        const expiresMs = nowMs + lastsMs;
        await this.#index.ensure(id, expiresMs + this.#graceMs, nowMs);
        const puts = [this.#rows.cookieItem(partition, { life, expiresMs, cookie: content.cookie })];
        if (live === undefined) puts.push(this.#rows.registerItem(partition, life));
        const before = loaded?.fields ?? this.#rows.fieldsOf(partition, rows.fields, life);
        for (const [name, json] of content.fields) {
          if (before.get(name) === json) continue;
          guardName(name);
          puts.push(this.#rows.fieldItem(partition, life, name, json));
        }
        const deletes = [...before.keys()]
          .filter((name) => !content.fields.has(name))
          .map((name) => fieldKey(life, name));
        this.#guard(puts, deletes);
        const checks = [{ key: REGISTER_KEY, value: rows.register }];
        if (await this.#commits.commit(id, partition, { checks, puts, deletes })) {
          return { loaded: { life, fields: content.fields } };
        }
      }
      throw busy(partition);
    });
  }

  /** Lets a session last longer. Whether it was there, in the life that was loaded. */
  touch(
    id: string,
    cookie: string,
    { lastsMs, loaded }: { readonly lastsMs: number; readonly loaded: LoadedSession | undefined },
  ): Promise<boolean> {
    return this.#turns.run(id, async () => {
      const partition = this.#partition(id);
      await this.#commits.arrive(id);
      const [rows, nowMs] = await this.#read(partition, false);
      const live = this.#rows.live(partition, rows, nowMs);
      if (live === undefined || (loaded !== undefined && !equalBytes(live.life, loaded.life))) return false;
      const expiresMs = nowMs + lastsMs;
      await this.#index.ensure(id, expiresMs + this.#graceMs, nowMs);
      const puts = [this.#rows.cookieItem(partition, { life: live.life, expiresMs, cookie })];
      const checks = [{ key: REGISTER_KEY, value: live.register }];
      // A register that changed was removed: nothing else changes it.
      return this.#commits.commit(id, partition, { checks, puts });
    });
  }

  /** Removes a session: from one commit on it is not there, then the rest of its rows go. */
  destroy(id: string): Promise<void> {
    return this.#turns.run(id, async () => {
      const partition = this.#partition(id);
      await this.#commits.arrive(id);
      const rows = await this.#rows.readAll(partition);
      // Also what has not come yet from the region it was made in is destroyed.
      if (isEmpty(rows) && !this.#commits.merges) return;
      await this.#remove(id, partition, rows, []);
    });
  }

  /** Whether the session is there. */
  async has(id: string): Promise<boolean> {
    const partition = this.#partition(id);
    const [rows, nowMs] = await this.#read(partition, false);
    return this.#rows.live(partition, rows, nowMs) !== undefined;
  }

  /** The ids of all sessions that may be there. */
  ids(): AsyncGenerator<string> {
    return this.#index.ids();
  }

  /** Removes sessions that are over: looks at up to `limit` of those that may be. */
  async sweep(limit: number): Promise<{ readonly removed: number; readonly looked: number }> {
    const due = await this.#index.due(await this.#kv.nowMs(), limit);
    let removed = 0;
    for (const one of due) if (await this.#turns.run(one.id, () => this.#retire(one))) removed += 1;
    return { removed, looked: due.length };
  }

  /** Applies what came of a session from elsewhere, and lists it here. */
  async arrived(id: string): Promise<void> {
    await this.#commits.arrive(id);
    const partition = this.#partition(id);
    const [{ cookie }, nowMs] = await this.#read(partition, false);
    if (cookie === undefined) return;
    const { expiresMs } = this.#rows.cookieOf(partition, cookie);
    await this.#index.ensure(id, expiresMs + this.#graceMs, nowMs);
  }

  async #retire(due: DueSession): Promise<boolean> {
    const partition = this.#partition(due.id);
    await this.#commits.arrive(due.id);
    const [rows, nowMs] = await this.#read(partition, true);
    const expiresMs = this.#lastMoment(partition, rows);
    if (expiresMs !== undefined && expiresMs + this.#graceMs > nowMs) {
      await this.#index.move(due, expiresMs + this.#graceMs);
      return false;
    }
    // A touch in the meantime changes the cookie's row: then it is left for the next time.
    if (!isEmpty(rows)) {
      if (!(await this.#remove(due.id, partition, rows, [{ key: COOKIE_KEY, value: rows.cookie }])))
        return false;
    }
    await this.#index.remove(due);
    return rows.register !== undefined;
  }

  /** Until when a session that is there lasts. */
  #lastMoment(partition: Partition, rows: SessionRows): number | undefined {
    // From before all time every life is live.
    return this.#rows.live(partition, rows, Number.NEGATIVE_INFINITY)?.expiresMs;
  }

  /** Whether all rows are removed: the register and the cookie first, and the rest where they do not fit in one commit. */
  async #remove(
    id: string,
    partition: Partition,
    { register, fields }: SessionRows,
    also: readonly { readonly key: KvKey; readonly value: Uint8Array | undefined }[],
  ): Promise<boolean> {
    const checks = [{ key: REGISTER_KEY, value: register }, ...also];
    const keys = [REGISTER_KEY, COOKIE_KEY, ...fields.map(({ key }) => key)];
    const limit = this.#commits.limits.items;
    const first = keys.slice(0, limit);
    if (!(await this.#commits.commit(id, partition, { checks, deletes: first }))) return false;
    // Fields bear the name of their life, so that none of a life that begins meanwhile is removed.
    for (let at = limit; at < keys.length; at += limit) {
      await this.#commits.commit(id, partition, { deletes: keys.slice(at, at + limit) });
    }
    return true;
  }

  async #read(partition: Partition, all: boolean): Promise<[SessionRows, number]> {
    if (all) return Promise.all([this.#rows.readAll(partition), this.#kv.nowMs()]);
    const [[register, cookie], nowMs] = await Promise.all([
      this.#kv.get(partition, [REGISTER_KEY, COOKIE_KEY]),
      this.#kv.nowMs(),
    ]);
    return [{ register, cookie, fields: [] }, nowMs];
  }

  #guard(puts: readonly KvItem[], deletes: readonly KvKey[]): void {
    const { items, bytes } = this.#commits.limits;
    const count = puts.length + deletes.length + 1;
    if (count > items) throw tooLarge(`${count} rows`, items, count);
    const actual = puts.reduce((sum, { key, value }) => sum + key.length + value.length, 0);
    if (actual > bytes) throw tooLarge(`${actual} bytes`, bytes, actual);
  }

  #partition(id: string): Partition {
    return `${this.#prefix}/${id}`;
  }
}

function isEmpty({ register, cookie, fields }: SessionRows): boolean {
  return register === undefined && cookie === undefined && fields.length === 0;
}

function guardName(name: string): void {
  const actual = utf8.encode(name).length;
  if (actual > NAME_BYTES_MAX)
    throw tooLarge(`a field whose name has ${actual} bytes`, NAME_BYTES_MAX, actual);
}

function tooLarge(what: string, limit: number, actual: number): ExpressSessionError {
  const message = `Cannot save ${what} of a session at once: the limit is ${limit}`;
  return new ExpressSessionError("EXPRESS_SESSION_TOO_LARGE", message, { limit, actual });
}
