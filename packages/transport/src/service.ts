/** What a {@link RequestHandler} is told besides the frame. */
export interface RequestContext {
  /** Aborted once the service or its transport closes: nobody will take the answer. */
  readonly signal: AbortSignal;
}

/**
 * Answers one request. The frame is the handler's own. Calls overlap; a medium may deliver a request
 * twice. A handler that throws answers nothing: the text of its error never leaves the process.
 */
export type RequestHandler = (frame: Uint8Array, context: RequestContext) => Promise<Uint8Array>;

/** Options of `serve`. */
export interface ServeOptions {
  /** Holds for the whole service: an abort before it is served rejects `serve`, a later one closes the service. */
  readonly signal?: AbortSignal;
}

/** A handler that is being served. */
export interface Service {
  /**
   * Idempotent. Frees the subject and aborts the signal of running handlers. It does not wait for them,
   * so that one that hangs cannot hold up a shutdown; their answers are dropped.
   */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Options of `request`. */
export interface RequestOptions {
  /** How long to wait for the answer, above 0. */
  readonly timeoutMs: number;
  /** Ends the waiting, with its reason. The handler may run all the same. */
  readonly signal?: AbortSignal;
}
