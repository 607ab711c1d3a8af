import { appOperations } from "@tidemark/session";
import type {
  AppOperation,
  Cursor,
  LaneProgress,
  OpRequest,
  SessionChange,
  SessionState,
  Ticket,
} from "@tidemark/session";
import { absent } from "./absent.ts";
import type { RegionEngine } from "./engine.ts";
import type {
  AnnotateOptions,
  AppOperationsOptions,
  ChangesOptions,
  ForkOptions,
  Session,
  SessionSync,
  User,
  WriteOptions,
  WriteResult,
} from "./region.ts";
import type { SignalOptions } from "./region-signals.ts";

/** A session bound to the region it was obtained from. */
export class SessionHandle implements Session {
  readonly id: string;
  readonly #engine: RegionEngine;

  constructor(engine: RegionEngine, id: string) {
    this.#engine = engine;
    this.id = id;
  }

  get user(): User {
    return this.#engine.userOf(this.id);
  }

  signal(entity: string, signal: string, weight: number, options: SignalOptions = {}): Promise<WriteResult> {
    const eventTimeMs = options.eventTimeMs ?? this.#engine.now();
    const { propensity } = options;
    const request = { kind: "signal", entity, signal, weight, eventTimeMs } as const;
    return this.#write(propensity === undefined ? request : { ...request, propensity }, options);
  }

  prefer(key: string, value: string, options: WriteOptions = {}): Promise<WriteResult> {
    return this.#write({ kind: "prefer", key, value }, options);
  }

  annotate(text: string, options: AnnotateOptions = {}): Promise<WriteResult> {
    const { entity } = options;
    return this.#write(
      entity === undefined ? { kind: "annotate", text } : { kind: "annotate", text, entity },
      options,
    );
  }

  hide(item: string, options: WriteOptions = {}): Promise<WriteResult> {
    return this.#write({ kind: "hide", item }, options);
  }

  unhide(item: string, options: WriteOptions = {}): Promise<WriteResult> {
    return this.#write({ kind: "unhide", item }, options);
  }

  mute(item: string, options: WriteOptions = {}): Promise<WriteResult> {
    return this.#write({ kind: "mute", item }, options);
  }

  unmute(item: string, options: WriteOptions = {}): Promise<WriteResult> {
    return this.#write({ kind: "unmute", item }, options);
  }

  block(item: string, options: WriteOptions = {}): Promise<WriteResult> {
    return this.#write({ kind: "block", item }, options);
  }

  unblock(item: string, options: WriteOptions = {}): Promise<WriteResult> {
    return this.#write({ kind: "unblock", item }, options);
  }

  search(query: string, options: WriteOptions = {}): Promise<WriteResult> {
    return this.#write({ kind: "search", query }, options);
  }

  app(namespace: string, bytes: Uint8Array, options: WriteOptions = {}): Promise<WriteResult> {
    return this.#write({ kind: "app", namespace, bytes }, options);
  }

  fork(options: ForkOptions = {}): Promise<Session> {
    return this.#engine.beginFrom({ kind: "fork", parent: this.id }, options);
  }

  close(options: WriteOptions = {}): Promise<WriteResult> {
    return this.#write({ kind: "close" }, options);
  }

  state(): SessionState {
    const state = this.#engine.fold.session(this.id);
    if (state === undefined) throw absent(this.#engine.fold, this.id, `read session ${this.id}`);
    return state;
  }

  appState(namespace: string): never {
    const { fold, parts } = this.#engine;
    // What it is only the caller's types know.
    return parts.reducers.read(fold, this.id, namespace) as never;
  }

  appOperations(namespace: string, options: AppOperationsOptions = {}): AppOperation[] {
    const { fold } = this.#engine;
    const operations = appOperations(fold, this.id, namespace, options.known);
    if (operations === undefined) throw absent(fold, this.id, `read ${namespace} of session ${this.id}`);
    return operations;
  }

  lanes(): Map<string, LaneProgress> {
    return this.#engine.fold.lanesOf(this.id);
  }

  cursor(): Cursor {
    return this.#engine.tokens.cursor(this.id);
  }

  ticket(): Ticket {
    return this.user.ticket();
  }

  progress(region: string): SessionSync {
    return this.#engine.progress(this.id, region);
  }

  changes(options: ChangesOptions = {}): AsyncIterable<SessionChange> {
    return this.#engine.changes(this.id, options);
  }

  #write(request: OpRequest, options: WriteOptions): Promise<WriteResult> {
    return this.#engine.desk.write(this.id, request, options);
  }
}
