import type { RequestHandler, RequestOptions, ServeOptions, Service } from "./service.ts";
import type { SubscribeOptions, Subscription } from "./subscription.ts";

/**
 * The number of a frame on its subject, given by the publisher: `last` grows within an `epoch`, an
 * `epoch` replaces all lower ones.
 */
export interface FrameSequence {
  readonly epoch: number;
  readonly last: number;
}

/** Options of `publish`. */
export interface PublishOptions {
  /**
   * A medium that can refuses a repeat, and resolves the same; others ignore it. Without it the frame is
   * ephemeral: it need not be stored.
   */
  readonly sequence?: FrameSequence;
  /** Ends the waiting, with its reason. The medium may take the frame all the same. */
  readonly signal?: AbortSignal;
}

/** What a medium offers above the minimum. Correctness must not need any of it but `frameBytesMax`. */
export interface TransportCapabilities {
  /** The longest frame, request or answer, in bytes. Longer ones are `FRAME_TOO_LARGE`. */
  readonly frameBytesMax: number;
  /**
   * Frames of one publisher on one subject arrive in the order they were published in, repeats and losses
   * aside: those with a `sequence` among themselves, and those without among themselves.
   */
  readonly ordered: boolean;
  /** Frames published with a `sequence` can be had again by `subscribe({ from })`, until released or trimmed. */
  readonly replay: boolean;
  /** What `replay` gives outlives the medium's own restart. */
  readonly persistent: boolean;
}

/** How a transport is. */
export interface TransportStatus {
  /**
   * - `connecting`: not reached the medium yet, or lost it and trying again.
   * - `ready`: reached, as far as it can tell.
   * - `degraded`: some peers or some calls are out of reach.
   * - `closed`: closed for good, by its owner.
   */
  readonly state: "connecting" | "ready" | "degraded" | "closed";
  /** Why, for a person. */
  readonly reason?: string;
}

/**
 * Moves opaque frames between peers.
 *
 * Assume it to be **at-least-once, unordered, lossy and forgetful**; whatever more a medium offers is an
 * optimisation, and correctness lives above. A *subject* is an address: one to eight tokens of
 * `A-Z a-z 0-9 _ -` joined by dots, at most 200 characters; adapters add their own prefix and escaping.
 * Subjects are independent: one that stalls never holds back another.
 *
 * All methods that return a promise reject, and never throw. When several errors apply the first of this
 * order decides: the signal's reason, `TRANSPORT_CLOSED`, `INVALID_SUBJECT`, `RangeError` for `timeoutMs`,
 * `FRAME_TOO_LARGE`, then whatever the medium says.
 */
export interface Transport {
  readonly capabilities: TransportCapabilities;
  readonly status: TransportStatus;

  /**
   * Calls `listener` with each status from now on, and again with the same one when a link heals, so that
   * nobody has to poll. The listener must not throw. Returns how to stop it.
   */
  onStatus(listener: (status: TransportStatus) => void): () => void;

  /**
   * Gives a frame to everybody subscribed to the subject, the publisher's own subscriptions included.
   * Resolves once the medium has taken custody, not on delivery. The bytes are copied before it returns:
   * the caller may write to them at once.
   *
   * @throws `PUBLISH_FAILED` if custody was not confirmed: the outcome is unknown, and the frame may be
   * published again with the same `sequence`.
   */
  publish(subject: string, frame: Uint8Array, options?: PublishOptions): Promise<void>;

  /** Resolves once frames published from then on are seen. */
  subscribe(subject: string, options?: SubscribeOptions): Promise<Subscription>;

  /** Everything on the subject up to `sequence` is no longer needed: a hint for trimming, of no effect on open subscriptions. */
  release(subject: string, sequence: FrameSequence): Promise<void>;

  /**
   * Answers requests to a subject, which takes one handler. Resolves once requests sent from then on are seen.
   *
   * @throws `SUBJECT_IN_USE` if this transport serves the subject already, or another one does and the
   * medium can see it.
   */
  serve(subject: string, handler: RequestHandler, options?: ServeOptions): Promise<Service>;

  /**
   * Asks whoever serves the subject.
   *
   * @throws `NO_RESPONDER` at once if the medium can tell that nobody will answer, else `REQUEST_TIMEOUT`
   * after `timeoutMs`. An answer above `frameBytesMax` is `FRAME_TOO_LARGE` or none.
   */
  request(subject: string, frame: Uint8Array, options: RequestOptions): Promise<Uint8Array>;

  /**
   * Idempotent. Settles everything: waiting calls reject with `TRANSPORT_CLOSED`, iterations end, services
   * stop. Resolves once nothing is left running. Whatever connection was borrowed stays open.
   */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
