/** Calls for one session that follow one another, in the order they came in; those of different sessions overlap. */
export class SessionTurns {
  readonly #last: Map<string, Promise<unknown>> = new Map();

  /** Runs a call once those before it have ended, however they ended. */
  async run<Result>(session: string, call: () => Promise<Result>): Promise<Result> {
    const result = this.idle(session).then(call);
    const settled = result.catch(() => undefined);
    this.#last.set(session, settled);
    try {
      return await result;
    } finally {
      if (this.#last.get(session) === settled) this.#last.delete(session);
    }
  }

  /** Resolves once the calls that have come in so far have ended. */
  async idle(session: string): Promise<void> {
    await this.#last.get(session);
  }
}
