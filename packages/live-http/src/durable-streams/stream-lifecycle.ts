import { decideAppend, type AppendResult, type StreamAppend, type StreamBounds } from "./decide-append.ts";
import {
  decideCreate,
  decideFork,
  lifetimeOf,
  type StreamCreation,
  type StreamLife,
} from "./decide-create.ts";
import { decideDelete, decidePin, forkAnchor, type ForkBounds } from "./decide-pins.ts";
import type { ExpiryIndex } from "./expiry-index.ts";
import type { StreamSnapshot } from "./stream-change.ts";
import { boundaryAfter } from "./stream-reader.ts";
import { StreamRefusal } from "./stream-refusal.ts";
import { readPin, type StreamRemoval } from "./stream-removal.ts";
import { producerRow, streamKeys } from "./stream-rows.ts";
import { type Lifetime, statusOf, type StreamPin, type StreamRegister } from "./stream-state.ts";
import { same, type StreamStore } from "./stream-store.ts";

/** What the lives of streams need beside a store. */
export interface StreamLifecycleOptions {
  readonly store: StreamStore;
  readonly bounds: StreamBounds & ForkBounds;
  readonly removal: StreamRemoval;
  readonly index: ExpiryIndex;
  readonly randomBytes: (count: number) => Uint8Array;
}

/** What came of a creation. */
export interface CreatedStream {
  readonly created: boolean;
  readonly register: StreamRegister;
}

const INCARNATION_BYTES = 12;
const MS_STEPS = 1_000;
/** How often a creation begins anew because another took its place meanwhile. */
const CREATIONS_MAX = 16;

/** How streams come to be, grow and end. Steps that touch two streams can be cut short after each: the next goes on. */
export class StreamLifecycle {
  readonly #store: StreamStore;
  readonly #removal: StreamRemoval;
  readonly #bounds: StreamBounds & ForkBounds;
  readonly #options: StreamLifecycleOptions;

  constructor(options: StreamLifecycleOptions) {
    this.#store = options.store;
    this.#removal = options.removal;
    this.#bounds = options.bounds;
    this.#options = options;
  }

  /** Appends, or closes, or both. @throws StreamRefusal */
  async append(path: string, append: StreamAppend): Promise<AppendResult> {
    const { producer } = append;
    return this.#store.change(
      path,
      async (snapshot) => {
        const incarnation = snapshot.register.body?.incarnation;
        if (producer === undefined || incarnation === undefined) return snapshot;
        const key = streamKeys.producer(incarnation, producer.id);
        const stored = await this.#store.row(path, key);
        return { ...snapshot, producer: producerRow.read(key, stored, snapshot.place) };
      },
      (snapshot) => decideAppend(snapshot, append, this.#bounds),
    );
  }

  /** Creates a stream, or finds it as it is asked for. @throws StreamRefusal */
  async create(path: string, creation: StreamCreation): Promise<CreatedStream> {
    for (let attempt = 0; attempt < CREATIONS_MAX; attempt++) {
      const result = await this.#store.change(
        path,
        (snapshot) => this.#withLife(snapshot, creation),
        (snapshot) => decideCreate(snapshot, creation, snapshot.life, this.#bounds),
      );
      if (result.kind === "existing") return { created: false, register: result.register };
      if (result.kind === "created") {
        await this.#removal.tryRemoveRemains(path);
        return { created: true, register: result.register };
      }
      if (result.kind === "gone") {
        if (await this.#removal.clearPins(path, result.register)) continue;
        throw new StreamRefusal("STREAM_CONFLICT", "The stream was deleted, and is kept for its forks");
      }
      const register = await this.#fork(path, result.register.incarnation, creation);
      if (register !== undefined) return { created: true, register };
    }
    throw new StreamRefusal("UNAVAILABLE", `Others created ${path} ${CREATIONS_MAX} times`, {
      "retry-after": "1",
    });
  }

  /** Deletes a stream; one that has forks is kept for them. @throws StreamRefusal */
  async delete(path: string): Promise<void> {
    const result = await this.#store.change(path, same, decideDelete);
    if (result === "removed") await this.#removal.tryRemoveRemains(path);
  }

  /** The two last steps of a fork: its source is pinned, then it is whole. */
  async #fork(
    path: string,
    incarnation: string,
    creation: StreamCreation,
  ): Promise<StreamRegister | undefined> {
    const source = creation.request.fork!.path;
    try {
      const pin = await this.#pin(source, { path, incarnation }, creation);
      await this.#announce(path, incarnation, lifetimeOf(creation.request, pin));
      const register = await this.#store.change(path, same, (snapshot) =>
        decideFork(snapshot, creation, incarnation, pin, this.#bounds),
      );
      if (register === undefined) await this.#removal.unpin(source, incarnation);
      return register;
    } catch (error) {
      if (error instanceof StreamRefusal) await this.#removal.abandon(path, incarnation);
      throw error;
    }
  }

  async #pin(
    source: string,
    { path, incarnation }: { readonly path: string; readonly incarnation: string },
    { request, contentType }: StreamCreation,
  ): Promise<StreamPin> {
    const draft = { path, request: request.fork!, ...(contentType === undefined ? {} : { contentType }) };
    return this.#store.change(
      source,
      async (snapshot) => {
        const pin = await readPin(this.#store, snapshot, incarnation);
        const register = snapshot.register.body;
        if (register === undefined || pin.body !== undefined || draft.request.subOffset === 0) {
          return { ...snapshot, pin, boundary: 0 };
        }
        const { position } = forkAnchor(register, source, draft.request);
        return { ...snapshot, pin, boundary: await boundaryAfter(this.#store, source, register, position) };
      },
      (snapshot) => decidePin(snapshot, draft, this.#bounds),
    );
  }

  /** A life that may begin, if there is none: when it is to be looked at is written before it does. */
  async #withLife(
    snapshot: StreamSnapshot,
    { request }: StreamCreation,
  ): Promise<StreamSnapshot & { readonly life: StreamLife }> {
    const life = this.#life(snapshot);
    const status = statusOf(snapshot.register.body, snapshot.lease.body, snapshot.nowMs);
    const begins = (status === "none" || status === "expired") && request.fork === undefined;
    if (begins) await this.#announce(snapshot.path, life.incarnation, request);
    return { ...snapshot, life };
  }

  async #announce(path: string, incarnation: string, { ttlSeconds, expiresAt }: Lifetime): Promise<void> {
    if (ttlSeconds === undefined && expiresAt === undefined) return;
    const nowMs = await this.#store.kv.nowMs();
    const dueMs = expiresAt === undefined ? nowMs + ttlSeconds! * 1_000 : Math.max(0, Date.parse(expiresAt));
    await this.#options.index.add({ path, incarnation, dueMs });
  }

  /** What names the life that begins now. Epochs of two lives of one path differ, but for a chance of one in a thousand within one millisecond. */
  #life({ nowMs }: StreamSnapshot): StreamLife {
    const bytes = this.#options.randomBytes(INCARNATION_BYTES);
    const incarnation = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    const step = ((bytes[0]! << 8) | bytes[1]!) % MS_STEPS;
    return { incarnation, epoch: Math.max(1, nowMs * MS_STEPS + step) };
  }
}
