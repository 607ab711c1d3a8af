import { nobleHasher } from "@tidemark/core";
import { type Kv, type KvItem, openMemoryKv } from "@tidemark/kv";
import {
  type GraphNode,
  type LeaseRecord,
  openSessionStores,
  type OpenSessionStoresOptions,
  type SessionStore,
  type SessionStores,
  type TurnCommit,
} from "../src/index.ts";
import { sessionPartition } from "../src/keys.ts";
import type { RecordContext } from "../src/records.ts";

/** What a backend must be told so that the cases of the session store run over it. */
export interface Backend {
  /** An empty store whose clock is the one given. */
  open(nowMs: () => number): Promise<Kv>;
  /** Another handle on the same store, as another process has. */
  again(kv: Kv): Promise<Kv>;
  /** Removes what the store of a closed first handle left. */
  remove?(kv: Kv): void;
}

/** The backend in memory. */
export const memoryBackend: Backend = {
  open: (nowMs) => Promise.resolve(openMemoryKv({ nowMs })),
  again: (kv) => Promise.resolve((kv as ReturnType<typeof openMemoryKv>).handle()),
};

/** Stores over a key-value store whose clock is set by hand. */
export class Bench {
  nowMs: number = 1_000;
  readonly #backend: Backend;
  readonly #handles: Kv[] = [];
  #byte: number = 0;

  constructor(backend: Backend = memoryBackend) {
    this.#backend = backend;
  }

  /** Stores over the first handle, or over another of the same store. */
  async stores(options: Partial<OpenSessionStoresOptions> = {}): Promise<SessionStores> {
    const kv = options.kv ?? (await this.handle());
    const randomBytes = (count: number) => new Uint8Array(count).fill(++this.#byte);
    return openSessionStores({ randomBytes, ...options, kv });
  }

  /** The first handle, or another. */
  async handle(): Promise<Kv> {
    const first = this.#handles[0];
    const kv =
      first === undefined ? await this.#backend.open(() => this.nowMs) : await this.#backend.again(first);
    this.#handles.push(kv);
    return kv;
  }

  /** A new session that nothing was committed to. */
  async session(id: string = "s", options: Partial<OpenSessionStoresOptions> = {}): Promise<SessionStore> {
    return (await this.stores(options)).create({ id, model: "m-1" });
  }

  /** All that is stored of a session. */
  async dump(id: string = "s"): Promise<readonly KvItem[]> {
    const { items } = await this.#handles[0]!.scan(sessionPartition(id), { limit: 10_000 });
    return items;
  }

  records(id: string = "s"): RecordContext {
    return { partition: sessionPartition(id), hasher: nobleHasher };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const kv of this.#handles.toReversed()) await kv.close();
    const [first] = this.#handles;
    if (first !== undefined) this.#backend.remove?.(first);
  }
}

/** A node with little to it. */
export function node(id: string, parent?: string, payload: GraphNode["payload"] = { say: id }): GraphNode {
  return { id, timestamp: `at ${id}`, payload, ...(parent === undefined ? {} : { parent }) };
}

/** A message of a user. */
export function userMessage(id: string, text: string, parent?: string): GraphNode {
  const parts = [{ id: `${id}-p`, kind: "text", content: text }];
  return node(id, parent, { type: "message", message: { id: `${id}-m`, role: "user", parts } });
}

/** The lease of a session, held. */
export async function hold(session: SessionStore, owner: string = "worker"): Promise<LeaseRecord> {
  const lease = await session.lease.claim({ owner });
  if (lease === undefined) throw new Error("Another holds the lease");
  return lease;
}

/** A commit that appends nodes to the head as it is, under the lease. */
export function appending(
  session: SessionStore,
  lease: LeaseRecord,
  nodes: readonly GraphNode[],
  more: Partial<TurnCommit> = {},
): TurnCommit {
  return {
    session: session.id,
    expected: "any",
    lease,
    config: { provider: "p", model: "m-1" },
    graph: { type: "append", nodes, leaf: nodes.at(-1)!.id },
    ...more,
  };
}

/** A handle of which some calls are other ones. */
export function kvWith(kv: Kv, calls: Partial<Pick<Kv, "get" | "scan" | "commit" | "nowMs">>): Kv {
  return {
    capabilities: kv.capabilities,
    nowMs: () => kv.nowMs(),
    get: (...call) => kv.get(...call),
    scan: (...call) => kv.scan(...call),
    commit: (...call) => kv.commit(...call),
    close: () => kv.close(),
    [Symbol.asyncDispose]: () => kv.close(),
    ...calls,
  };
}
