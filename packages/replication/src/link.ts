import type { RegionId, ShardId } from "@tidemark/core";
import type { FrameSequence, Transport } from "@tidemark/transport";
import type { Timers } from "@tidemark/wal";
import { Backoff } from "./backoff.ts";
import { equalBytes } from "./equal-bytes.ts";
import { ReplicationError } from "./errors.ts";
import type { ReplicationEvents } from "./events.ts";
import type { Frame, FrameCodec, FrameKind } from "./frame.ts";
import type { ReplicationLimits } from "./limits.ts";
import type { ReplicationLogger } from "./logger.ts";
import type { PoisonBox } from "./poison.ts";
import { decodeReply, type Reply } from "./reply.ts";
import { encodeRequest, NONCE_BYTES, type Request } from "./request.ts";
import { inboxSubject } from "./subject.ts";

/** What a {@link Link} is made of. */
export interface LinkOptions {
  readonly transport: Transport;
  readonly codec: FrameCodec;
  readonly poison: PoisonBox;
  readonly timers: Timers;
  readonly limits: ReplicationLimits;
  readonly logger: ReplicationLogger;
  readonly events: ReplicationEvents;
  readonly randomBytes: (count: number) => Uint8Array;
}

/** How one question waits. */
export interface AskOptions {
  /** @defaultValue `limits.requestTimeoutMs` */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** Frames in and out of one transport: seals, opens, counts what fails, and tries again for ever. */
export class Link {
  readonly codec: FrameCodec;
  readonly #options: LinkOptions;
  readonly #closing: AbortController = new AbortController();
  /** Questions under way, each with a signal of its own as well. */
  readonly #asking: Set<AbortController> = new Set();
  /** What runs, and how it is ended: each loop has a signal of its own, because there may be hundreds of subjects. */
  readonly #loops: Map<AbortController, Promise<void>> = new Map();

  constructor(options: LinkOptions) {
    this.#options = options;
    this.codec = options.codec;
  }

  get signal(): AbortSignal {
    return this.#closing.signal;
  }

  /** Seals a body and hands it to the medium. */
  publish(
    subject: string,
    kind: FrameKind,
    parts: readonly Uint8Array[],
    of: { readonly shard?: ShardId; readonly sequence?: FrameSequence } = {},
  ): Promise<void> {
    const { shard, sequence } = of;
    const frame =
      shard === undefined ? this.codec.seal(kind, ...parts) : this.codec.sealOf(shard, kind, parts);
    const signal = this.signal;
    return this.#options.transport.publish(
      subject,
      frame,
      sequence === undefined ? { signal } : { sequence, signal },
    );
  }

  /** Tells the medium what it may forget: a hint, so that its failure is nobody's. */
  release(subject: string, sequence: FrameSequence): void {
    this.#options.transport.release(subject, sequence).catch(() => {});
  }

  /**
   * Hears a subject until the link closes, whatever happens to subscriptions.
   *
   * @param from - The only region whose frames belong there.
   * @param ending - Ends the listening before the link does.
   * @returns Resolves after the first attempt, so that questions asked afterwards leave no window.
   */
  listen(
    subject: string,
    from: RegionId,
    kind: FrameKind,
    hear: (frame: Frame) => Promise<void> | void,
    ending: AbortController = new AbortController(),
  ): Promise<void> {
    return new Promise((attempted) => {
      const run = async (backoff: Backoff, signal: AbortSignal): Promise<void> => {
        try {
          const subscription = await this.#options.transport.subscribe(subject, { signal });
          attempted();
          backoff.reset();
          for await (const { frame } of subscription) {
            const refusal = await this.#hear(frame, from, kind, hear);
            if (refusal === undefined) this.#good(subject);
            else this.refuse(subject, refusal, frame);
          }
        } finally {
          attempted();
        }
      };
      this.#loop(run, ending);
    });
  }

  /** Answers questions of the members until the link closes. */
  serve(self: RegionId, answer: (frame: Frame) => Promise<Uint8Array>): void {
    const subject = inboxSubject(self);
    const { transport, codec } = this.#options;
    const handler = async (bytes: Uint8Array): Promise<Uint8Array> => {
      const frame = codec.open(bytes);
      const refusal = typeof frame === "string" ? frame : frame.kind === "request" ? undefined : "kind";
      if (refusal !== undefined) {
        this.refuse(subject, refusal, bytes);
        throw new ReplicationError("MESSAGE_MALFORMED", `Cannot accept a request: ${refusal}`);
      }
      try {
        return await answer(frame as Frame);
      } catch (error) {
        if (error instanceof ReplicationError && error.code === "MESSAGE_MALFORMED") {
          this.refuse(subject, "request", bytes);
        }
        throw error;
      }
    };
    this.#loop(async (_backoff, signal) => {
      await transport.serve(subject, handler, { signal });
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    });
  }

  /**
   * Asks one peer.
   *
   * @throws {@link ReplicationError} `REQUEST_REFUSED` when it answers with something else than the answer,
   * `MESSAGE_MALFORMED` for bytes that are none; errors of the transport are passed on.
   */
  async ask(peer: RegionId, request: Request, options: AskOptions = {}): Promise<Reply> {
    const { timeoutMs = this.#options.limits.requestTimeoutMs } = options;
    // One of its own: what AbortSignal.any gives is kept by Node, with all that waits, until it is aborted or released.
    const asking = new AbortController();
    const end = (): void => asking.abort(options.signal?.reason);
    if (this.signal.aborted) asking.abort(this.signal.reason);
    else if (options.signal?.aborted === true) end();
    const subject = inboxSubject(peer);
    const nonce = this.#options.randomBytes(NONCE_BYTES);
    const sealed = this.codec.seal("request", encodeRequest(nonce, request));
    this.#asking.add(asking);
    options.signal?.addEventListener("abort", end);
    let bytes;
    try {
      bytes = await this.#options.transport.request(subject, sealed, { timeoutMs, signal: asking.signal });
    } finally {
      this.#asking.delete(asking);
      options.signal?.removeEventListener("abort", end);
    }
    const frame = this.codec.open(bytes);
    if (typeof frame === "string" || frame.kind !== "reply" || frame.region !== peer) {
      const refusal = typeof frame === "string" ? frame : "source";
      this.refuse(subject, refusal, bytes);
      throw new ReplicationError(
        "MESSAGE_MALFORMED",
        `Cannot accept the reply of region ${peer}: ${refusal}`,
      );
    }
    const { nonce: repeated, reply } = decodeReply(frame.body);
    if (!equalBytes(nonce, repeated)) {
      this.refuse(subject, "nonce", bytes);
      throw new ReplicationError(
        "MESSAGE_MALFORMED",
        `Cannot accept the reply of region ${peer}: to another request`,
      );
    }
    return reply;
  }

  /** Counts a frame that could not be used. */
  refuse(subject: string, reason: string, frame: Uint8Array): void {
    const { poison, timers, logger, events } = this.#options;
    events.refused?.(subject, reason, frame.length);
    if (poison.refuse(timers.now(), subject, reason, frame)) {
      logger.error({ subject, reason }, "Frames of this subject keep failing: quarantined");
    }
  }

  /** Ends every loop; resolves once none runs. */
  async close(): Promise<void> {
    this.#closing.abort(new ReplicationError("REPLICATION_CLOSED", "Replication was closed"));
    for (const one of [...this.#loops.keys(), ...this.#asking]) one.abort(this.signal.reason);
    await Promise.all(this.#loops.values());
  }

  async #hear(
    bytes: Uint8Array,
    from: RegionId,
    kind: FrameKind,
    hear: (frame: Frame) => Promise<void> | void,
  ): Promise<string | undefined> {
    const frame = this.codec.open(bytes);
    if (typeof frame === "string") return frame;
    // A good frame in the wrong place is a splice.
    if (frame.region !== from) return "source";
    if (frame.kind !== kind) return "kind";
    try {
      await hear(frame);
      return undefined;
    } catch (error) {
      const code = (error as { code?: unknown } | null)?.code;
      if (typeof code !== "string")
        this.#options.logger.error({ err: error }, "A frame could not be handled");
      return typeof code === "string" ? code : "unexpected";
    }
  }

  #good(subject: string): void {
    if (this.#options.poison.accept(subject)) {
      this.#options.logger.info({ subject }, "A good frame ended the quarantine of this subject");
    }
  }

  /** Runs something again and again, with growing pauses, until the link closes. */
  #loop(
    run: (backoff: Backoff, signal: AbortSignal) => Promise<void>,
    ending: AbortController = new AbortController(),
  ): void {
    const { timers, limits, logger } = this.#options;
    const backoff = new Backoff(timers, limits.retryMs);
    const { signal } = ending;
    if (this.signal.aborted) ending.abort(this.signal.reason);
    const loop = async (): Promise<void> => {
      while (!signal.aborted) {
        try {
          await run(backoff, signal);
        } catch (error) {
          if (signal.aborted) return;
          logger.warn({ err: error }, "The medium failed: trying again");
        }
        await backoff.pause(signal);
      }
    };
    this.#loops.set(
      ending,
      loop().finally(() => this.#loops.delete(ending)),
    );
  }
}
