/** What a refused call says. */
export class Refused extends Error {
  readonly code: string;

  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

/** The lease as the model knows it. */
export interface ModelLease {
  readonly owner: string;
  /** Which claim of the model's history gave it. */
  readonly nonce: number;
  readonly generation: number;
  expiresAtMs: number;
  released: boolean;
}

/** What a worker remembers of a lease. */
export type ModelFence = Pick<ModelLease, "owner" | "nonce" | "generation">;

interface ModelNode {
  readonly id: string;
  readonly parent: string | undefined;
  hidden: boolean;
}

interface ModelBatch {
  readonly number: number;
  readonly source: number | undefined;
  readonly payload: number;
  state: "open" | "completed" | "cancelled";
  claim: ModelClaim | undefined;
}

/** A claim of one batch. */
export interface ModelClaim {
  readonly batch: number;
  readonly generation: number;
}

interface ModelTurn {
  readonly content: string;
  readonly revision: number;
}

/** What a commit of the model takes. */
export interface ModelCommit {
  readonly turn: number;
  /** Everything the turn is judged by when it is tried again. */
  readonly content: string;
  readonly fence: ModelFence | undefined;
  readonly expected: number | "absent" | "any";
  readonly node: string;
  readonly parent: string | undefined;
  readonly claim: ModelClaim | undefined;
  readonly attachment: number | undefined;
  readonly release: boolean;
}

/** One session, said in the plainest way: maps and lists, no records, no keys, no checks. */
export class ModelSession {
  state: "open" | "archived" | "deleted" = "open";
  lease: ModelLease | undefined;
  revision = 0;
  nodes: ModelNode[] = [];
  leaf: string | undefined;
  readonly batches: ModelBatch[] = [];
  readonly turns: Map<number, ModelTurn> = new Map();
  readonly anchors: Set<string> = new Set();
  /** Rows of attachments: when the intent was recorded, and whether it is committed. */
  readonly attachments: Map<number, { intentAtMs: number; committed: boolean }> = new Map();
  #nonce = 0;

  claimLease(owner: string, ttlMs: number, nowMs: number): ModelFence | undefined {
    this.requireOpen();
    const { lease } = this;
    const expiresAtMs = nowMs + ttlMs;
    const nonce = ++this.#nonce;
    if (!this.held(nowMs)) {
      this.lease = { owner, nonce, generation: (lease?.generation ?? 0) + 1, expiresAtMs, released: false };
    } else if (lease!.owner === owner) {
      this.lease = { ...lease!, nonce, expiresAtMs: Math.max(lease!.expiresAtMs, expiresAtMs) };
    } else return undefined;
    return this.lease;
  }

  renewLease(fence: ModelFence, ttlMs: number, nowMs: number): void {
    this.requireOpen();
    this.requireLive(fence, nowMs);
    this.lease!.expiresAtMs = Math.max(this.lease!.expiresAtMs, nowMs + ttlMs);
  }

  releaseLease(fence: ModelFence): void {
    if (this.state !== "deleted" && this.isOf(fence)) this.lease!.released = true;
  }

  enqueue(source: number | undefined, payload: number): { number: number; queued: boolean } {
    this.requireOpen();
    const earlier = source === undefined ? undefined : this.batches.find((batch) => batch.source === source);
    if (earlier !== undefined) {
      if (earlier.payload !== payload) throw new Refused("SOURCE_CONFLICT");
      return { number: earlier.number, queued: false };
    }
    const number = this.batches.length;
    this.batches.push({ number, source, payload, state: "open", claim: undefined });
    return { number, queued: true };
  }

  claimWork(fence: ModelFence, nowMs: number): ModelClaim | undefined {
    this.requireOpen();
    this.requireLive(fence, nowMs);
    const batch = this.pending(nowMs)[0];
    if (batch === undefined) return undefined;
    batch.claim = { batch: batch.number, generation: fence.generation };
    return batch.claim;
  }

  abandon(fence: ModelFence, claim: ModelClaim, nowMs: number): void {
    this.requireOpen();
    // Fenced like a release: who does not hold the lease gives nothing back.
    if (!this.held(nowMs) || !this.isOf(fence)) return;
    const batch = this.batches[claim.batch]!;
    if (batch.claim === claim && batch.state === "open") batch.claim = undefined;
  }

  cancel(number: number, nowMs: number): string {
    this.requireOpen();
    const batch = this.batches[number];
    if (batch === undefined) return "not-found";
    if (batch.state !== "open")
      return batch.state === "completed" ? "already-completed" : "already-cancelled";
    if (this.#claimed(batch, nowMs)) return "already-claimed";
    batch.state = "cancelled";
    return "cancelled";
  }

  commit(commit: ModelCommit, nowMs: number): { outcome: "committed" | "replayed"; revision: number } {
    if (this.state === "deleted") throw new Refused("SESSION_DELETED");
    const earlier = this.turns.get(commit.turn);
    if (earlier !== undefined) {
      if (earlier.content !== commit.content) throw new Refused("TURN_COMMIT_CONFLICT");
      if (commit.release && commit.fence !== undefined) this.releaseLease(commit.fence);
      return { outcome: "replayed", revision: earlier.revision };
    }
    this.requireOpen();
    if (commit.fence === undefined) throw new Refused("LEASE_EXPIRED");
    this.requireLive(commit.fence, nowMs);
    if (commit.expected !== "any" && commit.expected !== (this.revision || "absent"))
      throw new Refused("HEAD_CONFLICT");
    if (commit.claim !== undefined) {
      const batch = this.batches[commit.claim.batch]!;
      const owned = batch.claim === commit.claim && this.#claimed(batch, nowMs) && batch.state === "open";
      if (!owned) throw new Refused("CLAIM_EXPIRED");
    }
    if (this.nodes.some(({ id, hidden }) => id === commit.node && !hidden))
      throw new Refused("NODE_COLLISION");
    this.nodes.push({ id: commit.node, parent: commit.parent, hidden: false });
    this.leaf = commit.node;
    this.revision += 1;
    if (commit.claim !== undefined) this.batches[commit.claim.batch]!.state = "completed";
    const row = commit.attachment === undefined ? undefined : this.attachments.get(commit.attachment);
    if (row !== undefined) row.committed = true;
    if (commit.release) this.releaseLease(commit.fence);
    this.turns.set(commit.turn, { content: commit.content, revision: this.revision });
    return { outcome: "committed", revision: this.revision };
  }

  fork(): ModelSession {
    if (this.state === "deleted") throw new Refused("SESSION_DELETED");
    const child = new ModelSession();
    child.revision = this.revision === 0 ? 0 : 1;
    child.leaf = this.leaf;
    const path = this.#reached([this.leaf]);
    child.nodes = this.nodes.filter(({ id, hidden }) => path.has(id) && !hidden).map((node) => ({ ...node }));
    for (const [id, row] of this.attachments) if (row.committed) child.attachments.set(id, { ...row });
    return child;
  }

  tombstone(id: string): number {
    this.requireOpen();
    const node = this.nodes.find((one) => one.id === id && !one.hidden);
    if (node === undefined) return 0;
    if (this.#reached([this.leaf, ...this.anchors]).has(id)) throw new Refused("NODE_REACHABLE");
    const gone = this.nodes.filter((one) => !one.hidden && this.#reached([one.id]).has(id));
    if (gone.some((one) => this.#reached([this.leaf, ...this.anchors]).has(one.id)))
      throw new Refused("NODE_REACHABLE");
    for (const one of gone) one.hidden = true;
    return gone.length;
  }

  vacuum(): number {
    this.requireOpen();
    const before = this.nodes.length;
    this.nodes = this.nodes.filter(({ hidden }) => !hidden);
    return before - this.nodes.length;
  }

  visible(): string[] {
    return this.nodes.filter(({ hidden }) => !hidden).map(({ id }) => id);
  }

  pending(nowMs: number): ModelBatch[] {
    return this.batches.filter((batch) => batch.state === "open" && !this.#claimed(batch, nowMs));
  }

  requireOpen(): void {
    if (this.state === "deleted") throw new Refused("SESSION_DELETED");
    if (this.state === "archived") throw new Refused("SESSION_ARCHIVED");
  }

  requireLive(fence: ModelFence, nowMs: number): void {
    if (!this.held(nowMs) || !this.isOf(fence)) throw new Refused("LEASE_EXPIRED");
  }

  held(nowMs: number): boolean {
    return this.lease !== undefined && !this.lease.released && this.lease.expiresAtMs > nowMs;
  }

  isOf(fence: ModelFence): boolean {
    const { lease } = this;
    return (
      lease?.owner === fence.owner && lease.nonce === fence.nonce && lease.generation === fence.generation
    );
  }

  #claimed(batch: ModelBatch, nowMs: number): boolean {
    return batch.claim !== undefined && this.held(nowMs) && batch.claim.generation === this.lease!.generation;
  }

  #reached(leaves: readonly (string | undefined)[]): Set<string> {
    const reached = new Set<string>();
    for (const leaf of leaves) {
      for (let id = leaf; id !== undefined; id = this.nodes.find((node) => node.id === id)?.parent)
        reached.add(id);
    }
    return reached;
  }
}

/** All sessions, and who holds which bytes. */
export class ModelStores {
  nowMs = 1_000_000;
  readonly sessions: ModelSession[] = [new ModelSession(), new ModelSession()];
  /** Of each digest: when each session, by number, announced itself there last. */
  readonly holders: Map<number, Map<number, number>> = new Map();

  attach(session: number, attachment: number): void {
    const model = this.sessions[session]!;
    // Who announces himself and is then refused stays a holder until a collection.
    this.hold(session, attachment);
    model.requireOpen();
    const row = model.attachments.get(attachment);
    const intentAtMs = Math.max(this.nowMs, row?.intentAtMs ?? 0);
    if (!row?.committed) model.attachments.set(attachment, { intentAtMs, committed: false });
  }

  hold(session: number, attachment: number): void {
    const holders = this.holders.get(attachment) ?? new Map<number, number>();
    holders.set(session, this.nowMs);
    this.holders.set(attachment, holders);
  }

  delete(session: number): void {
    const model = this.sessions[session]!;
    model.state = "deleted";
    model.attachments.clear();
    model.lease = undefined;
  }

  collect(): { givenUp: number; deleted: number; retained: number } {
    let givenUp = 0;
    let deleted = 0;
    for (const { attachments } of this.sessions) {
      for (const [id, row] of attachments) {
        if (!row.committed && row.intentAtMs <= this.nowMs) {
          attachments.delete(id);
          givenUp += 1;
        }
      }
    }
    for (const [id, holders] of this.holders) {
      for (const [session, atMs] of holders) {
        if (!this.sessions[session]!.attachments.has(id) && atMs <= this.nowMs) holders.delete(session);
      }
      if (holders.size > 0) continue;
      this.holders.delete(id);
      deleted += 1;
    }
    return { givenUp, deleted, retained: this.holders.size };
  }
}
