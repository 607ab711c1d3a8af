import { decodeKey, type KvKey, prefixRange } from "@tidemark/kv";
import { decideAppend, type AppendResult, type StreamAppend, type StreamBounds } from "./decide-append.ts";
import { decideCreate, decideFork, type StreamCreation, type StreamLife } from "./decide-create.ts";
import { decideDelete, decidePin, decideUnpin, forkAnchor, type ForkBounds } from "./decide-pins.ts";
import type { StreamSnapshot } from "./stream-change.ts";
import { boundaryAfter } from "./stream-reader.ts";
import { StreamRefusal } from "./stream-refusal.ts";
import { LIFE_ROWS, pinRow, producerRow, remainsRow, type Row, streamKeys } from "./stream-rows.ts";
import type { StreamPin, StreamRegister } from "./stream-state.ts";
import { same, type StreamStore } from "./stream-store.ts";

/** What the lives of streams need beside a store. */
export interface StreamLifecycleOptions {
  readonly store: StreamStore;
  readonly bounds: StreamBounds & ForkBounds;
  readonly randomBytes: (count: number) => Uint8Array;
  /** Called with what went wrong while removing rows that nobody can read any more: it is tried again later. */
  readonly onError: (error: unknown) => void;
}

/** What came of a creation. */
export interface CreatedStream {
  readonly created: boolean;
  readonly register: StreamRegister;
}

const INCARNATION_BYTES = 12;
const MS_STEPS = 1_000;
const ROWS_PER_COMMIT = 256;
/** How often a creation begins anew because another took its place meanwhile. */
const CREATIONS_MAX = 16;

/** How streams come to be, grow and end. Steps that touch two streams can be cut short after each: the next goes on. */
export class StreamLifecycle {
  readonly #store: StreamStore;
  readonly #bounds: StreamBounds & ForkBounds;
  readonly #options: StreamLifecycleOptions;

  constructor(options: StreamLifecycleOptions) {
    this.#store = options.store;
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
      const result = await this.#store.change(path, same, (snapshot) =>
        decideCreate(snapshot, creation, this.#life(snapshot), this.#bounds),
      );
      if (result.kind === "existing") return { created: false, register: result.register };
      if (result.kind === "created") {
        await this.#removeRemains(path);
        return { created: true, register: result.register };
      }
      if (result.kind === "gone") {
        if (await this.#clearPins(path, result.register)) continue;
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
    if (result === "removed") await this.#removeRemains(path);
  }

  /** The two last steps of a fork: its source is pinned, then it is whole. */
  async #fork(
    path: string,
    incarnation: string,
    creation: StreamCreation,
  ): Promise<StreamRegister | undefined> {
    const source = creation.request.fork!.path;
    const pin = await this.#pin(source, { path, incarnation }, creation);
    try {
      const register = await this.#store.change(path, same, (snapshot) =>
        decideFork(snapshot, creation, incarnation, pin, this.#bounds),
      );
      if (register === undefined) await this.#unpin(source, incarnation);
      return register;
    } catch (error) {
      if (error instanceof StreamRefusal) await this.#unpin(source, incarnation);
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
        const pin = await this.#readPin(snapshot, incarnation);
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

  async #unpin(source: string, fork: string): Promise<void> {
    const removed = await this.#store.change(
      source,
      async (snapshot) => ({ ...snapshot, pin: await this.#readPin(snapshot, fork) }),
      decideUnpin,
    );
    if (removed) await this.#removeRemains(source);
  }

  async #readPin(snapshot: StreamSnapshot, fork: string): Promise<Row<StreamPin>> {
    const key = streamKeys.pin(snapshot.register.body?.incarnation ?? fork, fork);
    return pinRow.read(key, await this.#store.row(snapshot.path, key), snapshot.place);
  }

  /** Takes away pins of forks that never came to be, or are no more: their process died. Whether there were any. */
  async #clearPins(path: string, { incarnation }: StreamRegister): Promise<boolean> {
    const place = this.#store.place(path);
    const { items } = await this.#store.kv.scan(place.partition, prefixRange(["pin", incarnation]));
    let cleared = false;
    for (const { key, value } of items) {
      const fork = lastPart(key);
      const { register } = await this.#store.load(pinRow.read(key, value, place).body!.path);
      if (register.body?.incarnation === fork) continue;
      await this.#unpin(path, fork);
      cleared = true;
    }
    return cleared;
  }

  /** Removes the rows of lives that have ended at a path. What fails is tried again when the path is next created. */
  async #removeRemains(path: string): Promise<void> {
    try {
      const place = this.#store.place(path);
      const { items } = await this.#store.kv.scan(place.partition, prefixRange(["remains"]));
      for (const { key, value } of items) {
        const incarnation = lastPart(key);
        for (const kind of LIFE_ROWS) await this.#removeRows(path, [kind, incarnation]);
        const source = remainsRow.read(key, value, place).body?.source;
        if (source !== undefined) await this.#unpin(source, incarnation);
        await this.#store.kv.commit(place.partition, { deletes: [key] });
      }
    } catch (error) {
      this.#options.onError(error);
    }
  }

  async #removeRows(path: string, prefix: readonly string[]): Promise<void> {
    const partition = this.#store.partition(path);
    const limit = Math.min(ROWS_PER_COMMIT, this.#store.kv.capabilities.keysPerCommitMax);
    for (;;) {
      const { items } = await this.#store.kv.scan(partition, { ...prefixRange(prefix), limit });
      if (items.length === 0) return;
      await this.#store.kv.commit(partition, { deletes: items.map(({ key }) => key) });
    }
  }

  /** What names the life that begins now. Epochs of two lives of one path differ, but for a chance of one in a thousand within one millisecond. */
  #life({ nowMs }: StreamSnapshot): StreamLife {
    const bytes = this.#options.randomBytes(INCARNATION_BYTES);
    const incarnation = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    const step = ((bytes[0]! << 8) | bytes[1]!) % MS_STEPS;
    return { incarnation, epoch: Math.max(1, nowMs * MS_STEPS + step) };
  }
}

/** The life that a pin or what remains is named by. */
function lastPart(key: KvKey): string {
  return String(decodeKey(key).at(-1));
}
