import type { OpRequest } from "@tidemark/session";
import type { Submitted } from "@tidemark/session-bridge";
import type { SignalContent } from "@tidemark/signals";
import { acknowledged } from "./ack-ladder.ts";
import { RegionError } from "./errors.ts";
import type { AckLevel, WriteOptions, WriteResult } from "./region.ts";
import type { SignalResult } from "./region-signals.ts";
import type { Running } from "./running.ts";
import type { Recorded } from "./signal-writer.ts";
import { translate } from "./translate.ts";

/** What a {@link WriteDesk} is told of its region. */
export interface WriteDeskOptions {
  readonly name: string;
  readonly role: "member" | "follower";
  /** @throws RegionError while the region cannot be used. */
  readonly running: () => Running;
  /** @throws RegionError `REGION_CLOSED`. */
  readonly requireOpen: () => void;
  readonly closed: AbortSignal;
}

/** Takes the writes of a region, all the way to the level of acknowledgement asked for, and counts what becomes of them. */
export class WriteDesk {
  /** Writes refused, by code. */
  readonly refused: Map<string, number> = new Map();
  /** Writes that came while this region may not write at all, by code. */
  readonly fenced: Map<string, number> = new Map();
  readonly #options: WriteDeskOptions;
  /** Writes under way: a close waits for them. */
  #underWay: number = 0;
  #allDone: () => void = () => undefined;

  constructor(options: WriteDeskOptions) {
    this.#options = options;
  }

  /** One write, all the way to the level of acknowledgement asked for. */
  write(session: string, request: OpRequest, options: WriteOptions): Promise<WriteResult> {
    const { ack = "local" } = options;
    try {
      this.#options.requireOpen();
      const running = this.writable();
      requireAckLevel(ack);
      return this.track(running.bridge.submit(session, request, options)).then((result) =>
        result.outcome === "refused" || ack === "local"
          ? this.#resultOf(result, "local")
          : this.#confirmed(running, session, result, ack, options),
      );
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #resultOf(
    result: Submitted | Extract<Recorded, { readonly outcome: "refused" }>,
    ack: NonNullable<WriteResult["ack"]>,
  ): WriteResult {
    if (result.outcome === "refused") {
      increment(this.refused, result.code);
      return { outcome: "refused", reason: result.code, message: result.message };
    }
    const { outcome, effectId, position } = result;
    return { outcome, effectId, position, ack };
  }

  async #confirmed(
    { fold, replication }: Running,
    session: string,
    result: Exclude<Submitted, { readonly outcome: "refused" }>,
    ack: AckLevel,
    options: WriteOptions,
  ): Promise<WriteResult> {
    // Of a duplicate only the session is known: its last positions cover every one of its operations.
    const places = result.written === undefined ? fold.lastPositions(session) : [result.written];
    const wait = { ...options, closed: this.#options.closed };
    return this.#resultOf(result, await this.#translating(acknowledged(replication, places, ack, wait)));
  }

  /** One signal without a session, all the way to the level of acknowledgement asked for. */
  recordSignal(content: SignalContent, options: WriteOptions): Promise<SignalResult> {
    const { ack = "local", operationId, signal } = options;
    try {
      this.#options.requireOpen();
      const { signals, replication } = this.writable();
      requireAckLevel(ack);
      return this.track(signals.record(content, operationId, signal)).then(async (result) => {
        if (result.outcome === "refused") return this.#resultOf(result, "local");
        const { outcome, effectId, written } = result;
        const places = written === undefined ? replication.vector().entries() : [written];
        const wait = { ...options, closed: this.#options.closed };
        const reached = await this.#translating(acknowledged(replication, places, ack, wait));
        return { outcome, ...(effectId === undefined ? {} : { effectId }), ack: reached };
      });
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** What a write needs. @throws RegionError when this region may not write now, which is counted. */
  writable(): Running {
    try {
      if (this.#options.role === "follower") throw readOnly(this.#options.name);
      return this.#options.running();
    } catch (error) {
      const { code } = error as { readonly code?: unknown };
      if (typeof code === "string") increment(this.fenced, code);
      throw error;
    }
  }

  /** A write under way. */
  track<Value>(writing: Promise<Value>): Promise<Value> {
    this.#underWay += 1;
    return writing.then(
      (value) => {
        this.#wrote();
        return value;
      },
      (error: unknown) => {
        this.#wrote();
        throw translate(error, this.#options.name);
      },
    );
  }

  #wrote(): void {
    this.#underWay -= 1;
    if (this.#underWay === 0) this.#allDone();
  }

  /** Resolves once no write is under way. */
  async idle(): Promise<void> {
    if (this.#underWay > 0) await new Promise<void>((resolve) => (this.#allDone = resolve));
  }

  async #translating<Value>(promise: Promise<Value>): Promise<Value> {
    try {
      return await promise;
    } catch (error) {
      throw translate(error, this.#options.name);
    }
  }
}

function increment(counts: Map<string, number>, code: string): void {
  counts.set(code, (counts.get(code) ?? 0) + 1);
}

function requireAckLevel(ack: AckLevel): void {
  if (typeof ack === "object" && !(Number.isSafeInteger(ack.remote) && ack.remote > 0))
    throw new RangeError(`ack.remote must be a number of members from 1: ${String(ack.remote)}`);
}

function readOnly(name: string): RegionError {
  return new RegionError("READ_ONLY", `Cannot write in ${name}: its role is follower; write in a member`);
}
