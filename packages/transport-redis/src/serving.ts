import { textOfReply, type Supervisor, type Entry, ZERO_ID, type EntryId } from "@tidemark/redis-connection";
import type { RequestHandler, Service } from "@tidemark/transport";
import { TransportError } from "@tidemark/transport";
import type { Keys } from "./keys.ts";
import type { Limits } from "./options.ts";
import type { Tap } from "./reader.ts";
import { capFor, OUTCOME, trimAfter } from "./requests.ts";

/** Handlers of one subject that run at once; beyond it requests stay in their stream. */
const RUNNING_MAX = 256;
/** How long a reply waits for an asker that may be gone. */
const REPLY_TTL_MS = 60_000;
const ASKER = /^[0-9a-f]{24}$/;

/** What a {@link Serving} needs of its transport. */
export interface ServingOptions {
  readonly subject: string;
  readonly handler: RequestHandler;
  readonly keys: Keys;
  readonly commands: Supervisor;
  readonly limits: Limits;
  readonly ageMs: (id: EntryId) => number;
  readonly onRoom: () => void;
  readonly onClose: () => void;
}

/** One handler on one subject. It begins with what waits in the inbox already and has not expired. */
export class Serving implements Service, Tap {
  readonly key: string;
  cursor: EntryId = ZERO_ID;
  caughtUp: boolean = false;
  readonly #options: ServingOptions;
  readonly #closing: AbortController = new AbortController();
  #running: number = 0;

  constructor(options: ServingOptions) {
    this.#options = options;
    this.key = options.keys.requests(options.subject);
  }

  get room(): boolean {
    return this.#running < RUNNING_MAX;
  }

  take(entries: readonly Entry[]): void {
    if (this.#closing.signal.aborted) return;
    trimAfter(this.#options.commands, this.key, entries);
    for (const { id, fields } of entries) {
      const asker = textOfReply(fields.get("r") ?? "");
      const number = textOfReply(fields.get("i") ?? "");
      const timeoutMs = Number(textOfReply(fields.get("t") ?? "0"));
      const frame = fields.get("f");
      if (frame === undefined || !ASKER.test(asker)) continue;
      // Nobody waits for it any more. Only of what was there before us: a server's clock may be set back.
      if (!this.caughtUp && this.#options.ageMs(id) > timeoutMs) continue;
      void this.#answer(asker, number, new Uint8Array(frame));
    }
  }

  close(): Promise<void> {
    if (!this.#closing.signal.aborted) {
      this.#options.onClose();
      this.#closing.abort(new TransportError("TRANSPORT_CLOSED", "The service was closed"));
    }
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #answer(asker: string, number: string, frame: Uint8Array): Promise<void> {
    const { signal } = this.#closing;
    const { handler, limits, keys, commands } = this.#options;
    this.#running += 1;
    let outcome: string = OUTCOME.failed;
    let answer = new Uint8Array(0);
    // What a handler threw stays in this process.
    try {
      const bytes = await handler(frame, { signal });
      if (bytes.length <= limits.frameBytesMax) {
        outcome = OUTCOME.answered;
        answer = new Uint8Array(bytes);
      } else outcome = OUTCOME.tooLarge;
    } catch {}
    this.#running -= 1;
    if (signal.aborted) return;
    if (this.#running === RUNNING_MAX - 1) this.#options.onRoom();
    const key = keys.replies(asker);
    const fields = ["i", number, "s", outcome, "f", answer];
    // A reply that cannot be sent is a request that was not answered: it is asked again above.
    try {
      await commands.call(["XADD", key, ...capFor(answer.length), "*", ...fields]);
      await commands.call(["PEXPIRE", key, `${REPLY_TTL_MS}`]);
    } catch {}
  }
}
