import { judgeMembership, nextMembership, ReplicationError } from "@tidemark/replication";
import type { Membership, MembershipPromise, MembershipStore, Replication } from "@tidemark/replication";
import type { MembersFile } from "./members-file.ts";
import { formatMembersFile, MEMBERS_FILE, parseMembersFile, writeMembersFile } from "./members-file.ts";
import type { RegionLogger, RegionPlatform } from "./options.ts";

/** How often `members.json` is looked at. */
export const MEMBERS_PERIOD_MS = 1_000;

/** What a {@link MembersKeeper} works with. */
export interface MembersKeeperOptions {
  readonly platform: RegionPlatform;
  readonly dir: string;
  readonly logger: RegionLogger | undefined;
  readonly list: Membership;
  readonly promised: MembershipPromise | undefined;
}

/** Keeps the list of members in `members.json`, and hears of what an operator writes there. */
export class MembersKeeper implements MembershipStore {
  readonly #options: MembersKeeperOptions;
  #list: Membership;
  #promised: MembershipPromise | undefined;
  /** What the file held when it was last read or written. */
  #seen: string | undefined;
  #cancel: (() => void) | undefined;
  #looking: Promise<void> = Promise.resolve();
  #closed: boolean = false;

  constructor(options: MembersKeeperOptions) {
    this.#options = options;
    this.#list = options.list;
    this.#promised = options.promised;
  }

  async keep(list: Membership): Promise<void> {
    await this.#write(
      list,
      this.#promised === undefined || this.#promised.version <= list.version ? undefined : this.#promised,
    );
  }

  async promise(promised: MembershipPromise | undefined): Promise<void> {
    await this.#write(this.#list, promised);
  }

  /** Looks at the file now and every second until it is closed. */
  watch(replication: Replication): void {
    if (this.#closed) return;
    this.#looking = this.#look(replication).finally(() => {
      if (this.#closed) return;
      const { timers } = this.#options.platform;
      this.#cancel = timers.setTimer(MEMBERS_PERIOD_MS, () => this.watch(replication));
    });
  }

  /** Resolves once nothing is left running. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await this.#looking;
  }

  async #write(list: Membership, promised: MembershipPromise | undefined): Promise<void> {
    const { platform, dir } = this.#options;
    const content = { ...list, ...(promised === undefined ? {} : { promised }) };
    await writeMembersFile(platform.fs, dir, content);
    this.#list = list;
    this.#promised = promised;
    this.#seen = formatMembersFile(content);
  }

  async #look(replication: Replication): Promise<void> {
    const { platform, dir, logger } = this.#options;
    try {
      const bytes = await platform.fs.readFile(`${dir}/${MEMBERS_FILE}`);
      const text = bytes === undefined ? undefined : new TextDecoder().decode(bytes);
      if (bytes === undefined || text === this.#seen) return;
      this.#seen = text;
      await this.#take(replication, parseMembersFile(bytes, dir));
    } catch (error) {
      if (this.#closed) return;
      logger?.error({ err: error }, `Cannot take ${MEMBERS_FILE}: the list in force stays`);
      // What was read and does not count must not count at the next start; what cannot be read is left to be mended.
      if (error instanceof ReplicationError)
        await this.#write(replication.membership, this.#promised).catch(() => undefined);
    }
  }

  async #take(replication: Replication, file: MembersFile): Promise<void> {
    const current = replication.membership;
    const { version, regions, removed, since, shards, router } = file;
    // The file says nothing of what was chosen when the cluster was made.
    const { seed, encryption = false } = current;
    const same = { ...file, seed, encryption };
    if (version === current.version && judgeMembership(current, same).kind === "same") return;
    const slots = router === undefined ? {} : { router };
    const next = nextMembership(current, { version, regions, shards, ...slots });
    // What the file remembers of lists between the two is kept as well.
    const past = { ...(removed === undefined ? {} : { removed }), ...(since === undefined ? {} : { since }) };
    const verdict = judgeMembership(next, { ...next, ...past });
    await replication.setMembership(verdict.kind === "merge" ? verdict.merged : next);
  }
}
