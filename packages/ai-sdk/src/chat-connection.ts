import { parseStreamOffset, type StreamClock } from "@tidemark/live";
import type { UIMessageChunk } from "ai";
import { ChatEventReader } from "./chat-event-reader.ts";
import { ChatError } from "./errors.ts";

/** How connections are made. */
export interface ChatConnectionOptions {
  /** Where the chat is in each region. */
  readonly regions: readonly string[];
  readonly fetch: typeof globalThis.fetch;
  readonly attemptsMax: number;
  readonly silenceMs: number;
  readonly clock: StreamClock;
}

/** An answer to be read to its end. */
export interface ChatAnswer {
  /** Where it is resumed, below the place of a region. */
  readonly path: string;
  /** The stream that was asked for; else the last one of the chat. */
  readonly stream: string | undefined;
  /** Told which stream it is, with the first event. */
  readonly found: (stream: string) => void;
  readonly init: RequestInit;
  /** The page does not want it any more: the stream fails with its reason. */
  readonly signal: AbortSignal;
  /** Another reader has taken over: the stream just ends. */
  readonly superseded: AbortSignal | undefined;
  /** Called once, however it ends. */
  readonly ended: () => void;
}

const BACKOFF_MS = 250;
const BACKOFF_MS_MAX = 5_000;
/** Statuses after which the same request may succeed, here or elsewhere. */
const RETRIED: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

/** Connections to a chat that is in several regions: the one that answered last is asked first. */
export class ChatConnection {
  readonly #options: ChatConnectionOptions;
  #region: number = 0;

  constructor(options: ChatConnectionOptions) {
    this.#options = options;
  }

  /**
   * A response that is none of a failure, from the first region that gives one.
   *
   * @throws {@link ChatError} `CHAT_REFUSED`, `CHAT_UNREACHABLE`; the reason of the signal.
   */
  async request(path: string, init: RequestInit & { readonly signal: AbortSignal }): Promise<Response> {
    const { attemptsMax } = this.#options;
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.#tryOnce(path, init);
      if (outcome instanceof Response) return outcome;
      if (!outcome.retryable) throw outcome;
      if (attempt >= attemptsMax && outcome.code === "CHAT_REFUSED") throw outcome;
      if (attempt >= attemptsMax)
        throw new ChatError("CHAT_UNREACHABLE", `No region answered in ${attempt} attempts`, {
          cause: outcome,
        });
      await this.#backOff(attempt, init.signal);
    }
  }

  /** The chunks of an answer, each once, over as many connections as it takes. */
  chunks(first: Response, answer: ChatAnswer): ReadableStream<UIMessageChunk> {
    const { silenceMs, clock } = this.#options;
    const closed = new AbortController();
    const signals = [
      answer.signal,
      closed.signal,
      ...(answer.superseded === undefined ? [] : [answer.superseded]),
    ];
    const stop = AbortSignal.any(signals);
    let reader: ChatEventReader | undefined = new ChatEventReader(first, { silenceMs, clock, signal: stop });
    let offset: string | undefined;
    let failures = 0;

    /** The next chunks; `undefined` at the end. */
    const next = async (): Promise<UIMessageChunk[] | undefined> => {
      for (;;) {
        stop.throwIfAborted();
        if (reader === undefined) {
          const response = await this.request(pathAfter(answer, offset), { ...answer.init, signal: stop });
          // All of it was read: only the word that this was all was lost.
          if (response.status === 204) return undefined;
          reader = new ChatEventReader(response, { silenceMs, clock, signal: stop });
        }
        const events = await reader.next().catch((error: unknown) => lost(error, stop));
        if (events === undefined) {
          reader = undefined;
          failures += 1;
          if (failures >= this.#options.attemptsMax)
            throw new ChatError("CHAT_UNREACHABLE", `The connection was lost ${failures} times in a row`);
          this.#region += 1;
          await this.#backOff(failures, stop);
          continue;
        }
        const chunks: UIMessageChunk[] = [];
        for (const { data, id } of events) {
          if (data === "[DONE]") {
            reader.end();
            break;
          }
          if (id !== undefined) {
            if (isRead(id, offset)) continue;
            if (offset === undefined) answer.found(parseStreamOffset(id).stream);
            offset = id;
          }
          chunks.push(parseChunk(data));
        }
        if (chunks.length > 0) {
          failures = 0;
          return chunks;
        }
        if (reader.ended) return undefined;
      }
    };

    return new ReadableStream<UIMessageChunk>({
      async pull(controller) {
        try {
          const chunks = await next();
          for (const chunk of chunks ?? []) controller.enqueue(chunk);
          if (chunks !== undefined) return;
          answer.ended();
          controller.close();
        } catch (error) {
          answer.ended();
          closed.abort();
          if (answer.superseded?.aborted === true && !answer.signal.aborted) controller.close();
          else controller.error(error);
        }
      },
      cancel() {
        answer.ended();
        closed.abort();
      },
    });
  }

  async #tryOnce(
    path: string,
    init: RequestInit & { readonly signal: AbortSignal },
  ): Promise<Response | ChatError> {
    const { regions, fetch } = this.#options;
    const region = regions[this.#region % regions.length] as string;
    let response: Response;
    try {
      response = await fetch(below(region, path), init);
    } catch (cause) {
      init.signal.throwIfAborted();
      this.#region += 1;
      return new ChatError("CHAT_UNREACHABLE", `Cannot reach ${region}`, { cause });
    }
    if (response.ok) return response;
    const text = await response.text().catch(() => "");
    const retryable = RETRIED.has(response.status);
    if (retryable) this.#region += 1;
    return new ChatError("CHAT_REFUSED", text === "" ? `Status ${response.status}` : text.slice(0, 1_000), {
      status: response.status,
      retryable,
    });
  }

  async #backOff(attempt: number, signal: AbortSignal): Promise<void> {
    // The other regions are asked at once; then there is no hurry.
    const rounds = Math.floor(attempt / this.#options.regions.length);
    const delayMs = rounds === 0 ? 0 : Math.min(BACKOFF_MS_MAX, BACKOFF_MS * 2 ** (rounds - 1));
    await new Promise<void>((resolve) => {
      const done = (): void => {
        callOff();
        signal.removeEventListener("abort", done);
        resolve();
      };
      const callOff = this.#options.clock.schedule(delayMs, done);
      signal.addEventListener("abort", done);
    });
    signal.throwIfAborted();
  }
}

/** A connection that failed, however it says so, is made again; unless nobody wants it any more. */
function lost(error: unknown, stop: AbortSignal): undefined {
  stop.throwIfAborted();
  if (error instanceof ChatError) throw error;
}

/** Whether an event was given before: a proxy may have sent it again. */
function isRead(id: string, offset: string | undefined): boolean {
  return offset !== undefined && parseStreamOffset(id).position <= parseStreamOffset(offset).position;
}

function parseChunk(data: string): UIMessageChunk {
  let chunk: unknown;
  try {
    chunk = JSON.parse(data);
  } catch (cause) {
    throw new ChatError("CHAT_REPLY_INVALID", "An event of the answer is no JSON", { cause });
  }
  if (typeof (chunk as { type?: unknown } | null)?.type !== "string")
    throw new ChatError("CHAT_REPLY_INVALID", "An event of the answer is no chunk");
  return chunk as UIMessageChunk;
}

function pathAfter({ path, stream }: ChatAnswer, offset: string | undefined): string {
  if (offset !== undefined) return `${path}?offset=${encodeURIComponent(offset)}`;
  return stream === undefined ? path : `${path}?stream=${encodeURIComponent(stream)}`;
}

/** A path below a place, whose query stays at the end. */
function below(place: string, path: string): string {
  const at = place.search(/[?#]/);
  const base = at < 0 ? place : place.slice(0, at);
  const query = at < 0 ? "" : place.slice(at);
  const whole = `${path.startsWith("/") ? base.replace(/\/$/, "") : base}${path}`;
  return query.startsWith("?") && whole.includes("?") ? `${whole}&${query.slice(1)}` : `${whole}${query}`;
}
