/** A frame as it arrived. */
export interface Delivery {
  /** The bytes that were published. The receiver's own: nobody else writes to them. */
  readonly frame: Uint8Array;
  /** Where the medium keeps the frame: opaque, only good as a later `from`, and a hint even there. */
  readonly position?: string;
}

/** Options of `subscribe`. */
export interface SubscribeOptions {
  /**
   * Resume after this position, on a medium with `replay`. A hint: a position the medium does not know
   * (any more) is ignored, it never fails the call. Without it the subscription begins now.
   */
  readonly from?: string;
  /**
   * Holds for the whole subscription: an abort before it is open rejects `subscribe`, a later one closes
   * the subscription and rejects a waiting iteration, both with the signal's reason.
   */
  readonly signal?: AbortSignal;
}

/**
 * The frames of one subject.
 *
 * There is one queue behind it, so take one iterator; leaving the loop closes the subscription. The
 * iteration ends (without an error) once the subscription or its transport is closed; frames still
 * queued then are dropped, as a lossy medium may.
 */
export interface Subscription extends AsyncIterable<Delivery> {
  /** Idempotent. Ends a waiting iteration; resolves once no frame is delivered any more. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
