import { inspect, isDeepStrictEqual } from "node:util";
import { nobleHasher } from "@tidemark/core";
import type { Kv } from "@tidemark/kv";
import {
  attachmentId,
  type LeaseRecord,
  openSessionStores,
  type SessionStore,
  type SessionStores,
  type TurnCommit,
  type WorkClaim,
  workCompletion,
} from "@tidemark/session-store";
import type { Backend } from "./backends.ts";
import { type ModelClaim, type ModelCommit, type ModelFence, ModelStores, Refused } from "./model.ts";
import { type Operation, WORKERS } from "./operation.ts";

/** The store did something else than the model. */
export class Differs extends Error {
  override readonly name = "Differs";
}

interface Held {
  readonly lease: LeaseRecord;
  readonly fence: ModelFence;
  readonly claims: { readonly work: WorkClaim; readonly claim: ModelClaim }[];
}

/** What a worker remembers of a session. */
interface Memory {
  readonly store: SessionStore;
  held?: Held;
}

interface Worker {
  stores: SessionStores;
  memories: Map<number, Memory>;
}

interface Turn {
  readonly commit: TurnCommit;
  readonly model: ModelCommit;
}

/** One history: the same calls on the model and on the store, and everything that can be read compared after each. */
export class History {
  readonly #model = new ModelStores();
  readonly #backend: Backend;
  readonly #workers: Worker[] = [];
  /** What each turn said when it was committed first, to be said again. */
  readonly #turns = new Map<string, Turn>();
  readonly #ids: string[] = ["s0", "s1"];
  /** The store's ids of the model's batches. */
  readonly #batches = new Map<string, string>();
  #nodes = 0;

  private constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** Runs the operations in order. @throws {@link Differs} at the first that differs */
  static async run(backend: Backend, operations: readonly Operation[]): Promise<void> {
    await backend.fresh();
    const history = new History(backend);
    for (let worker = 0; worker < WORKERS; worker++) history.#workers.push(await history.#open());
    for (const id of history.#ids) await history.#workers[0]!.stores.create({ id, model: "m" });
    for (const [index, operation] of operations.entries()) {
      try {
        await history.#step(operation);
      } catch (cause) {
        throw new Differs(`Operation ${index}, ${JSON.stringify(operation)}: ${String(cause)}`, { cause });
      }
    }
  }

  async #step(operation: Operation): Promise<void> {
    if (operation.do === "clock") this.#model.nowMs += operation.ms;
    else if (operation.do === "crash") this.#workers[operation.worker] = await this.#open();
    else if (operation.do === "collect") await this.#collect(operation.worker);
    else await this.#onSession(operation, operation.session % this.#ids.length);
  }

  async #onSession(
    operation: Exclude<Operation, { do: "clock" | "crash" | "collect" }>,
    number: number,
  ): Promise<void> {
    const { worker } = operation;
    const model = this.#model.sessions[number]!;
    const nowMs = this.#model.nowMs;
    const memory = await this.#memory(worker, number);
    if (memory === undefined) return same(model.state, "deleted");
    const { store, held } = memory;
    switch (operation.do) {
      case "claim": {
        const owner = `w${worker}`;
        const { ttlMs } = operation;
        const [lease, fence] = await both(
          () => store.lease.claim({ owner, ttlMs }),
          () => model.claimLease(owner, ttlMs, nowMs),
        );
        same(lease?.generation, fence?.generation);
        if (lease !== undefined) memory.held = { lease, fence: { ...fence! }, claims: held?.claims ?? [] };
        break;
      }
      case "renew":
        if (held === undefined) break;
        await both(
          async () => void (await store.lease.renew(held.lease, { ttlMs: operation.ttlMs })),
          () => model.renewLease(held.fence, operation.ttlMs, nowMs),
        );
        break;
      case "release":
        if (held === undefined) break;
        await both(
          () => store.lease.release(held.lease),
          () => model.releaseLease(held.fence),
        );
        break;
      case "enqueue": {
        const { source, payload } = operation;
        const sourceKey = source === undefined ? {} : { sourceKey: `source-${source}` };
        const [real, told] = await both(
          () => store.work.enqueue({ items: [{ payload }], ...sourceKey }),
          () => model.enqueue(source, payload),
        );
        if (told?.queued) this.#batches.set(`${number}/${told.number}`, real!.batch.id);
        if (told !== undefined) same(real!.batch.id, this.#batches.get(`${number}/${told.number}`));
        break;
      }
      case "claimWork": {
        if (held === undefined) break;
        const [work, claim] = await both(
          () => store.work.claim({ fence: held.lease, boundary: "idle", max: 1 }),
          () => model.claimWork(held.fence, nowMs),
        );
        same(work?.batches[0]?.id, claim && this.#batches.get(`${number}/${claim.batch}`));
        if (work !== undefined) held.claims.push({ work, claim: claim! });
        break;
      }
      case "abandon": {
        const last = held?.claims.at(-1);
        if (last === undefined) break;
        await both(
          async () => void (await store.work.abandon(held!.lease, workCompletion(last.work))),
          () => model.abandon(held!.fence, last.claim, nowMs),
        );
        break;
      }
      case "cancel": {
        const id = this.#batches.get(`${number}/${operation.batch}`) ?? "unknown";
        const [real, told] = await both(
          () => store.work.cancel({ ids: [id] }),
          () => model.cancel(operation.batch, nowMs),
        );
        same(real?.[0]?.outcome, told);
        break;
      }
      case "commit":
        await this.#commit(operation, number, memory);
        break;
      case "replay": {
        const turn = this.#turns.get(`${number}/${operation.turn}`);
        if (turn === undefined) break;
        const { lease: _, release: __, ...commit } = turn.commit;
        const graph = {
          type: "append",
          nodes: [{ id: "other", timestamp: 0, payload: "other" }],
          leaf: "other",
        } as const;
        const [real, told] = await both(
          () => store.commit(operation.same ? commit : { ...commit, graph }),
          () =>
            model.commit(
              {
                ...turn.model,
                fence: undefined,
                release: false,
                content: operation.same ? turn.model.content : "other",
              },
              nowMs,
            ),
        );
        same(real && { outcome: real.outcome, revision: real.revision }, told);
        break;
      }
      case "fork": {
        if (this.#ids.length > 5) break;
        const id = `s${this.#ids.length}`;
        const [, child] = await both(
          () => store.fork({ id }),
          () => model.fork(),
        );
        if (child === undefined) break;
        const made = this.#ids.push(id) - 1;
        this.#model.sessions.push(child);
        for (const attachment of child.attachments.keys()) this.#model.hold(made, attachment);
        await this.#compare(made);
        break;
      }
      case "archive":
        await both(
          () => (operation.archived ? store.archive() : store.unarchive()),
          () => {
            if (model.state === "deleted") throw new Refused("SESSION_DELETED");
            model.state = operation.archived ? "archived" : "open";
          },
        );
        break;
      case "delete":
        await this.#workers[worker]!.stores.delete(this.#ids[number]!);
        this.#model.delete(number);
        break;
      case "attach":
        await both(
          async () => void (await store.attachments.put({ bytes: bytesOf(operation.attachment), uri: "u" })),
          () => this.#model.attach(number, operation.attachment),
        );
        break;
      case "forget": {
        const id = idOf(operation.attachment);
        await both(
          () => store.attachments.forget(id),
          () => {
            model.requireOpen();
            model.attachments.delete(operation.attachment);
          },
        );
        break;
      }
      case "anchor": {
        const node = this.#node(number, operation.node);
        if (node === undefined) break;
        await both(
          async () =>
            void (await (operation.retain ? store.anchors.retain(node, node) : store.anchors.release(node))),
          () => {
            model.requireOpen();
            if (operation.retain) model.anchors.add(node);
            else model.anchors.delete(node);
          },
        );
        break;
      }
      case "tombstone": {
        const node = this.#node(number, operation.node);
        if (node === undefined) break;
        const [real, told] = await both(
          () => store.tombstone([node]),
          () => model.tombstone(node),
        );
        same(real, told);
        break;
      }
      case "vacuum": {
        const [real, told] = await both(
          () => store.vacuum(),
          () => model.vacuum(),
        );
        same(real, told);
        break;
      }
    }
    await this.#compare(number);
  }

  async #commit(
    operation: Extract<Operation, { do: "commit" }>,
    number: number,
    { store, held }: Memory,
  ): Promise<void> {
    const model = this.#model.sessions[number]!;
    const node = `n${this.#nodes++}`;
    const parent = this.#node(number, operation.parent);
    const claimed = operation.settle ? held?.claims.at(-1) : undefined;
    const actual = model.revision === 0 ? "absent" : model.revision;
    const expected =
      operation.expected === "any" ? "any" : operation.expected === "right" ? actual : model.revision + 1;
    const { attachment } = operation;
    const release = operation.release && held !== undefined;
    const id = attachment === undefined ? undefined : idOf(attachment);
    const session = this.#ids[number]!;
    const commit: TurnCommit = {
      session,
      expected,
      config: { provider: "p", model: "m" },
      graph: {
        type: "append",
        nodes: [{ id: node, timestamp: 0, payload: node, ...(parent === undefined ? {} : { parent }) }],
        leaf: node,
      },
      turn: { session, turn: `t${operation.turn}` },
      release,
      ...(held === undefined ? {} : { lease: held.lease }),
      ...(claimed === undefined ? {} : { completed: [workCompletion(claimed.work)] }),
      ...(id === undefined ? {} : { attachments: [id] }),
    };
    const said: ModelCommit = {
      turn: operation.turn,
      content: node,
      fence: held?.fence,
      expected,
      node,
      parent,
      claim: claimed?.claim,
      attachment,
      release,
    };
    const [real, told] = await both(
      () => store.commit(commit),
      () => model.commit(said, this.#model.nowMs),
    );
    same(real && { outcome: real.outcome, revision: real.revision }, told);
    if (told?.outcome === "committed")
      this.#turns.set(`${number}/${operation.turn}`, { commit, model: said });
  }

  async #collect(worker: number): Promise<void> {
    const { stores } = this.#workers[worker]!;
    const { givenUp, deleted, retained, complete } = await stores.collectAttachments({
      intentAgeMs: 0,
      graceMs: 0,
    });
    same({ givenUp, deleted, retained, complete }, { ...this.#model.collect(), complete: true });
    for (const number of this.#ids.keys()) await this.#compare(number);
  }

  /** Compares everything that can be read of a session, through a handle that remembers nothing. */
  async #compare(number: number): Promise<void> {
    const model = this.#model.sessions[number]!;
    const store = await this.#workers[0]!.stores.open(this.#ids[number]!);
    same(store !== undefined, model.state !== "deleted");
    if (store === undefined) return;
    const head = await store.load();
    same(head?.revision ?? 0, model.revision);
    same(head?.graph.nodes.map(({ id }) => id) ?? [], model.visible());
    same(head?.graph.leaf, model.leaf);
    // The way to the leaf is whole, whatever was hidden and vacuumed.
    if (head !== undefined) same((await store.load({ scope: "path" }))?.graph.nodes.at(-1)?.id, model.leaf);
    const pending = model
      .pending(this.#model.nowMs)
      .map((batch) => this.#batches.get(`${number}/${batch.number}`));
    same(
      (await store.work.pending()).map(({ id }) => id),
      pending,
    );
    const rows = await store.attachments.rows();
    same(
      new Set(rows.map(({ id, committedAtMs }) => `${id} ${committedAtMs !== undefined}`)),
      new Set([...model.attachments].map(([id, { committed }]) => `${idOf(id)} ${committed}`)),
    );
    for (const { id } of rows) await store.attachments.get(id);
  }

  #node(number: number, index: number): string | undefined {
    const nodes = this.#model.sessions[number]!.visible();
    return nodes[nodes.length === 0 ? 0 : index % nodes.length];
  }

  async #memory(worker: number, number: number): Promise<Memory | undefined> {
    const { stores, memories } = this.#workers[worker]!;
    let memory = memories.get(number);
    if (memory === undefined) {
      const store = await stores.open(this.#ids[number]!);
      if (store === undefined) return undefined;
      memory = { store };
      memories.set(number, memory);
    }
    return memory;
  }

  async #open(): Promise<Worker> {
    const kv = withClock(await this.#backend.handle(), () => this.#model.nowMs);
    return { stores: await openSessionStores({ kv }), memories: new Map() };
  }
}

/** The same call on both. @returns what each answered; nothing of either if both refused with one code */
async function both<Real, Told>(
  real: () => Promise<Real>,
  model: () => Told,
): Promise<[real: Real | undefined, told: Told | undefined]> {
  const told = await outcomeOf(() => Promise.resolve().then(model));
  const done = await outcomeOf(real);
  same(done.code, told.code);
  return [done.value, told.value];
}

async function outcomeOf<Value>(
  call: () => Promise<Value>,
): Promise<{ readonly value?: Value; readonly code?: string }> {
  try {
    return { value: await call() };
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === undefined) throw error;
    return { code };
  }
}

function same(real: unknown, told: unknown): void {
  if (isDeepStrictEqual(real, told)) return;
  throw new Differs(`the store says ${inspect(real)}, the model ${inspect(told)}`);
}

function bytesOf(attachment: number): Uint8Array {
  return new Uint8Array(attachment + 1).fill(attachment);
}

function idOf(attachment: number): string {
  return attachmentId(bytesOf(attachment), nobleHasher);
}

/** A store whose clock is the model's. */
function withClock(kv: Kv, nowMs: () => number): Kv {
  return {
    capabilities: kv.capabilities,
    nowMs: () => Promise.resolve(nowMs()),
    get: (partition, keys, options) => kv.get(partition, keys, options),
    scan: (partition, range, options) => kv.scan(partition, range, options),
    commit: (partition, commit, options) => kv.commit(partition, commit, options),
    close: () => kv.close(),
    [Symbol.asyncDispose]: () => kv.close(),
  };
}
