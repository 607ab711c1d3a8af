/** What a medium can do beyond the contract. Whatever it claims, correctness does not rest on it. */
export interface TransportCapabilities {
  /** The largest frame it takes, in bytes. */
  readonly frameBytesMax: number;
  /** Frames of one subject from one publisher arrive in the order they were published. */
  readonly ordered: boolean;
  /** `from` of a subscription is honoured. */
  readonly replay: boolean;
  /** Frames with a `sequence` survive a restart of the medium. */
  readonly persistent: boolean;
}

/** What a medium says of itself. */
export interface TransportStatus {
  /** `degraded`: some of it works, `reason` says what does not. */
  readonly state: "connecting" | "ready" | "degraded" | "closed";
  readonly reason?: string;
}

/** A frame's number, given by its publisher: it grows per subject. */
export interface FrameSequence {
  readonly epoch: number;
  readonly last: number;
}

/** How a frame is published. */
export interface PublishOptions {
  /** A medium that can refuses a repeat (and resolves the same). Without it the frame is ephemeral and need not be stored. */
  readonly sequence?: FrameSequence;
  readonly signal?: AbortSignal;
}

/** How a subscription begins. */
export interface SubscribeOptions {
  /** A `position` delivered earlier: a hint, ignored by a medium that cannot replay. */
  readonly from?: string;
  readonly signal?: AbortSignal;
}

/** One frame as it arrived. */
export interface Delivery {
  /** The receiver's own bytes. */
  readonly frame: Uint8Array;
  /** Opaque, and only good as a later `from`. */
  readonly position?: string;
}

/** Frames of one subject, pulled one by one. Leaving the loop ends it. */
export interface Subscription extends AsyncIterable<Delivery>, AsyncDisposable {
  /** Ends the iteration; idempotent. */
  close(): Promise<void>;
}

/** A subject being served. */
export interface Service extends AsyncDisposable {
  /** Stops serving; idempotent. */
  close(): Promise<void>;
}

/** Answers one request. What it throws reaches the asker as `NO_RESPONDER` or a time-out, never as its own error. */
export type RequestHandler = (frame: Uint8Array, options: { readonly signal: AbortSignal }) => Promise<Uint8Array>;

/** How a request waits. */
export interface RequestOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/**
 * Moves opaque frames between regions: at least once at best, in any order, with losses, and with no memory.
 * Whatever more a medium offers is an optimisation; correctness lives above.
 *
 * A subject is one to eight tokens of `A-Z a-z 0-9 _ -`, joined by dots; an adapter adds its own prefix and
 * escaping.
 */
export interface Transport extends AsyncDisposable {
  readonly capabilities: TransportCapabilities;
  readonly status: TransportStatus;
  /** Called with each change, also when a link heals while others are down. Returns the way to stop. */
  onStatus(listener: (status: TransportStatus) => void): () => void;
  /**
   * Resolves once the medium has taken custody, not on delivery. The bytes are the caller's again then.
   *
   * @throws TransportError `FRAME_TOO_LARGE`, `PUBLISH_FAILED` (custody unknown), `TRANSPORT_CLOSED`, `INVALID_SUBJECT`.
   */
  publish(subject: string, frame: Uint8Array, options?: PublishOptions): Promise<void>;
  /** Resolves once frames published from then on are seen. */
  subscribe(subject: string, options?: SubscribeOptions): Promise<Subscription>;
  /** Everything up to this sequence is no longer needed: a hint for trimming. */
  release(subject: string, sequence: FrameSequence): Promise<void>;
  /** Answers requests on a subject, one handler a subject. @throws TransportError `SUBJECT_IN_USE` */
  serve(subject: string, handler: RequestHandler, options?: { readonly signal?: AbortSignal }): Promise<Service>;
  /**
   * Asks whoever serves the subject.
   *
   * @throws TransportError `REQUEST_TIMEOUT` (the handler may have run), `NO_RESPONDER`, `FRAME_TOO_LARGE`, `TRANSPORT_CLOSED`.
   */
  request(subject: string, frame: Uint8Array, options: RequestOptions): Promise<Uint8Array>;
  /** Settles everything pending and releases what it holds; idempotent. */
  close(): Promise<void>;
}
