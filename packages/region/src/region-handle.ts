import { formatLogId } from "@tidemark/core";
import type { RegionId } from "@tidemark/core";
import type { SessionChange } from "@tidemark/session";
import type { RegionEngine } from "./engine.ts";
import type { MembersOption, RegionMembers } from "./members.ts";
import type { RegionHealth } from "./health.ts";
import type { RegionMetrics } from "./metrics.ts";
import { toHex } from "./hex.ts";
import type {
  Certificate,
  ErasureReport,
  CloseOptions,
  Region,
  ResumeOptions,
  Sessions,
  Users,
} from "./region.ts";
import type { RegionSignals } from "./region-signals.ts";
import { SessionHandle } from "./session-handle.ts";
import { SignalsHandle } from "./signals-handle.ts";
import { UserHandle } from "./user-handle.ts";

/** What {@link openRegion} hands out. */
export class RegionHandle implements Region {
  readonly sessions: Sessions;
  readonly users: Users;
  readonly signals: RegionSignals;
  readonly #engine: RegionEngine;

  constructor(engine: RegionEngine) {
    this.#engine = engine;
    this.sessions = {
      start: async (options) =>
        engine.startSession(options.id ?? engine.mintSessionId(options.user), options.user, options),
      merge: async (one, other, options = {}) => {
        const allows = engine.policies.mergeFilter(engine.fold, one, options.allows);
        const request = { kind: "merge", parents: [one, other] as const } as const;
        return engine.beginFrom(allows === undefined ? request : { ...request, allows }, options);
      },
      get: (id) => (engine.fold.sessions.has(id) ? new SessionHandle(engine, id) : undefined),
      resume: async (id, options) => engine.resumeSession(id, options.cursor.toString(), options),
    };
    this.signals = new SignalsHandle(engine);
    this.users = {
      get: (user) => new UserHandle(engine, user),
      resume: async (user, options) => engine.resumeUser(user, options.ticket.toString(), options),
      erase: async (user, options = {}) => engine.eraseUser(user, options),
    };
  }

  get name(): string {
    return this.#engine.parts.name;
  }

  get id(): RegionId {
    return this.#engine.parts.id;
  }

  get role(): "member" | "follower" {
    return this.#engine.parts.options.role ?? "member";
  }

  ready(options: ResumeOptions = {}): Promise<void> {
    return this.#engine.ready(options);
  }

  synced(options: ResumeOptions = {}): Promise<boolean> {
    return this.#engine.synced(options);
  }

  members(): RegionMembers {
    return this.#engine.members();
  }

  setMembers(members: MembersOption): Promise<void> {
    return this.#engine.setMembers(members);
  }

  moveSlots(shards: number): Promise<void> {
    return this.#engine.moveSlots(shards);
  }

  erasures(): ErasureReport[] {
    return this.#engine.running.erasures?.all() ?? [];
  }

  health(): RegionHealth {
    return this.#engine.health();
  }

  metrics(): RegionMetrics {
    return this.#engine.metrics();
  }

  certificate(): Certificate {
    const { vector, digest } = this.#engine.running.replication.certificate();
    return {
      vector: Object.fromEntries(vector.entries().map(({ log, lsn }) => [formatLogId(log), lsn])),
      digest: toHex(digest),
    };
  }

  onChange(listener: (change: SessionChange) => void): () => void {
    return this.#engine.onChange(listener);
  }

  close(options: CloseOptions = {}): Promise<void> {
    return this.#engine.close(options);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
