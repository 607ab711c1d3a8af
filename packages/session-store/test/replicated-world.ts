import { decodeKey, type Kv, type MemoryKv, openMemoryKv } from "@tidemark/kv";
import {
  type LeaseRecord,
  leaseFence,
  openReplicatedSessions,
  type ReplicatedSession,
  type ReplicatedSessions,
  sessionPartition,
  type TurnCommit,
  type TurnCommitResult,
  type WorkClaim,
  workCompletion,
} from "../src/index.ts";
import { JournalNetwork } from "./journal-network.ts";

/** Rows that say what this region knows, not what the session is: leases and claims of its own, and the order work came in. */
const OWN: ReadonlySet<unknown> = new Set([
  "lease",
  "claim",
  "queue",
  "work",
  "work-id",
  "open-work",
  "settled-work",
  "source",
  "cluster-ended",
]);

/** A cluster of regions in memory, whose journals hear of each other when the test says so. */
export class ReplicatedWorld {
  readonly names: readonly string[];
  readonly network: JournalNetwork;
  readonly authority: MemoryKv;
  readonly stores: ReadonlyMap<string, MemoryKv>;
  /** Unix ms of the clock of every store. */
  nowMs: number = 1_000_000;
  readonly #timers: Set<() => void> = new Set();

  constructor(names: readonly string[]) {
    this.names = names;
    this.network = new JournalNetwork(names, { entryBytesMax: 400 });
    const nowMs = (): number => this.nowMs;
    // One key a commit is all that the authority may need.
    this.authority = openMemoryKv({ nowMs, keysPerCommitMax: 1, scan: false });
    this.stores = new Map(names.map((name) => [name, openMemoryKv({ nowMs })]));
  }

  /** The sessions of a region, as a process that has just started would have them. */
  open(
    name: string,
    {
      authority = this.authority,
      kv = this.stores.get(name)!,
    }: { readonly authority?: Kv; readonly kv?: Kv } = {},
  ): Promise<ReplicatedSessions> {
    const journal = this.network.journal(name);
    return openReplicatedSessions({
      kv,
      authority,
      journal,
      timers: {
        now: () => this.nowMs,
        setTimer: (_, run) => {
          this.#timers.add(run);
          return () => this.#timers.delete(run);
        },
      },
    });
  }

  async session(name: string, id: string = "s"): Promise<ReplicatedSession> {
    const session = await (await this.open(name)).open(id);
    if (session === undefined) throw new Error(`${name} knows of no session ${id}`);
    return session;
  }

  /** Every wait that is going on is over. */
  endWaits(): void {
    for (const run of this.#timers) run();
  }

  /** Everybody hears of everything, and applies it. */
  async converge(id: string = "s"): Promise<void> {
    this.network.deliverAll();
    for (const name of this.names) await (await this.session(name, id)).sync({ ask: true });
  }

  /** What the session is in a region: its rows but those that are the region's own, as text. */
  async dump(name: string, id: string = "s"): Promise<readonly string[]> {
    const { items } = await this.stores.get(name)!.scan(sessionPartition(id), { limit: 10_000 });
    return items
      .filter(({ key }) => !OWN.has(decodeKey(key)[0]))
      .map(({ key, value }) => `${decodeKey(key).join("/")} ${Buffer.from(value).toString("hex")}`);
  }
}

/** A turn that appends a node, under a stamp. */
export function turn(
  lease: LeaseRecord,
  name: string,
  {
    claims = [],
    release = false,
  }: { readonly claims?: readonly WorkClaim[]; readonly release?: boolean } = {},
): TurnCommit {
  return {
    session: lease.session,
    expected: "any",
    lease: leaseFence(lease),
    release,
    config: { provider: "scripted", model: "one" },
    graph: {
      type: "append",
      nodes: [{ id: `node ${name}`, timestamp: 1, payload: { said: name } }],
      leaf: `node ${name}`,
    },
    turn: { session: lease.session, turn: name },
    completed: claims.map(workCompletion),
  };
}

/** Commits {@link turn}. */
export function commitTurn(
  session: ReplicatedSession,
  lease: LeaseRecord,
  name: string,
  options: Parameters<typeof turn>[2] = {},
): Promise<TurnCommitResult> {
  return session.commit(turn(lease, name, options));
}
