import {
  ConnectionLostError,
  setTimer,
  textOfReply,
  type Supervisor,
  type Entry,
  afterEntryId,
  formatEntryId,
  ZERO_ID,
  type EntryId,
} from "@tidemark/redis-connection";
import { TransportError } from "@tidemark/transport";
import { transportErrorOf, verdictOf } from "./errors.ts";
import type { Keys } from "./keys.ts";
import type { Tap } from "./reader.ts";

/** How a request came back. */
export const OUTCOME: { readonly answered: "0"; readonly failed: "1"; readonly tooLarge: "2" } = {
  answered: "0",
  failed: "1",
  tooLarge: "2",
};

/** Bytes an inbox or a reply stream may hold, and its entries. */
const INBOX_BYTES_MAX = 64 * 1024 * 1024;
const INBOX_ENTRIES_MAX = 1_000;
const INBOX_ENTRIES_MIN = 16;

/** The bound of a short stream, by the size of what is added to it. */
export function capFor(frameBytes: number, bytesMax: number = INBOX_BYTES_MAX): string[] {
  const fitting = Math.floor(bytesMax / Math.max(1, frameBytes));
  return ["MAXLEN", "~", `${Math.max(INBOX_ENTRIES_MIN, Math.min(INBOX_ENTRIES_MAX, fitting))}`];
}

/** The requests this transport has asked, and the stream their replies come in. */
export class Asker implements Tap {
  readonly key: string;
  readonly room: boolean = true;
  cursor: EntryId = ZERO_ID;
  caughtUp: boolean = false;
  readonly #id: string;
  readonly #keys: Keys;
  readonly #commands: Supervisor;
  readonly #waiting: Map<string, (outcome: Uint8Array | TransportError) => void> = new Map();
  #count: number = 0;

  constructor(id: string, keys: Keys, commands: Supervisor) {
    this.#id = id;
    this.#keys = keys;
    this.#commands = commands;
    this.key = keys.replies(id);
  }

  /** Sends a request; `settle` is called at most once, by a reply. Returns how to stop waiting for it. */
  ask(
    subject: string,
    frame: Uint8Array,
    timeoutMs: number,
    settle: (outcome: Uint8Array | TransportError) => void,
  ): () => void {
    this.#count += 1;
    const number = `${this.#count}`;
    const controller = new AbortController();
    const stop = (): void => {
      this.#waiting.delete(number);
      controller.abort();
    };
    this.#waiting.set(number, (outcome) => {
      stop();
      settle(outcome);
    });
    void this.#send(subject, number, frame, timeoutMs, controller.signal);
    return stop;
  }

  take(entries: readonly Entry[]): void {
    for (const { fields } of entries) {
      const settle = this.#waiting.get(textOfReply(fields.get("i") ?? ""));
      if (settle === undefined) continue;
      const frame = fields.get("f") ?? new Uint8Array(0);
      const outcome = textOfReply(fields.get("s") ?? "");
      if (outcome === OUTCOME.answered) settle(new Uint8Array(frame));
      else if (outcome === OUTCOME.tooLarge)
        settle(new TransportError("FRAME_TOO_LARGE", "The answer is longer than frameBytesMax"));
      else settle(new TransportError("NO_RESPONDER", "The handler failed"));
    }
    trimAfter(this.#commands, this.key, entries);
  }

  async #send(
    subject: string,
    number: string,
    frame: Uint8Array,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<void> {
    const key = this.#keys.requests(subject);
    const fields = ["i", number, "r", this.#id, "t", `${Math.ceil(timeoutMs)}`, "f", frame];
    while (!signal.aborted) {
      await this.#commands.wait(signal);
      if (signal.aborted) return;
      try {
        await this.#commands.call(["XADD", key, ...capFor(frame.length), "*", ...fields]);
        return;
      } catch (error) {
        const verdict = verdictOf(error);
        if (verdict === "elsewhere") this.#commands.replace("the server takes no writes");
        if (verdict === "unauthorized" || verdict === "refused") {
          this.#waiting.get(number)?.(transportErrorOf(error, `ask ${subject}`));
          return;
        }
        if (!(error instanceof ConnectionLostError))
          await new Promise<void>((resolve) => setTimer(50, resolve));
      }
    }
  }
}

/** Nobody needs what was taken: the stream stays short. A hint, so that its failure is nobody's. */
export function trimAfter(commands: Supervisor, key: string, entries: readonly Entry[]): void {
  const end = entries.at(-1);
  if (end === undefined) return;
  commands.call(["XTRIM", key, "MINID", formatEntryId(afterEntryId(end.id))]).catch(() => undefined);
}
