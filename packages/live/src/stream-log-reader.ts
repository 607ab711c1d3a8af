import type { StreamClock } from "./stream-log-clock.ts";
import { StreamLogError } from "./stream-log-errors.ts";
import type { StreamState } from "./stream-log-fold.ts";
import type { StreamHub } from "./stream-log-hub.ts";
import { formatStreamOffset } from "./stream-log-offset.ts";
import type { StreamTail } from "./stream-log-tail.ts";

/** What a reader of a stream is given. */
export type StreamItem =
  /** Text that follows on what was given before, and the place behind it. */
  | { readonly kind: "text"; readonly text: string; readonly offset: string }
  /**
   * Nothing more is to come: the last item. `orphaned` is what this reader's clock says, and a later read may find the
   * producer alive; `missing` is a stream nobody has heard of here.
   */
  | {
      readonly kind: "end";
      readonly state: Exclude<StreamState, "pending" | "streaming">;
      readonly offset?: string;
      readonly message?: string;
    };

/** What a reading is made of. */
export interface ReadStreamOptions {
  readonly hub: StreamHub;
  readonly clock: StreamClock;
  readonly session: string;
  readonly stream: string;
  readonly from: { readonly position: number; readonly writer?: string };
  readonly missingMs: number;
  readonly signal?: AbortSignal;
}

/** Reads a stream from a place on, until it ends, its producer is gone, or the signal. */
export async function* readStream(options: ReadStreamOptions): AsyncGenerator<StreamItem, void> {
  const { hub, clock, session, stream, missingMs, signal } = options;
  let { position, writer } = options.from;
  using followed = hub.follow(session, stream);
  const { tail } = followed;
  const { fold } = tail;
  const missingUntilMs = clock.monotonicMs() + missingMs;
  while (signal?.aborted !== true) {
    const { state } = tail;
    const owner = fold.owner?.writer;
    const another = writer !== undefined && owner !== undefined && owner !== writer;
    // A claim that is not here yet may be the first.
    if (another && (fold.claimed(writer as string) || clock.monotonicMs() >= missingUntilMs))
      throw new StreamLogError("STREAM_FENCED", `What was read of ${stream} is not of its writer`, {
        stream,
      });
    const text = another ? undefined : fold.textAt(position);
    if (text !== undefined && owner !== undefined) {
      writer = owner;
      position += text.length;
      yield { kind: "text", text, offset: formatStreamOffset({ stream, writer, position }) };
      continue;
    }
    // A stream that is cancelled has an end when its producer has said how much text there is.
    const untilMs = owner === undefined || another ? missingUntilMs : tail.deadlineMs;
    const unknown = owner === undefined && (missingMs === 0 || fold.cancelled);
    if (!another && (unknown || fold.end !== undefined || clock.monotonicMs() > untilMs)) {
      if (state === "pending" || state === "streaming") continue;
      const { end } = fold;
      yield {
        kind: "end",
        state,
        ...(owner === undefined ? {} : { offset: formatStreamOffset({ stream, writer: owner, position }) }),
        ...(end?.outcome === "error" ? { message: end.message } : {}),
      };
      return;
    }
    await changed(tail, clock, untilMs, signal);
  }
}

/** Resolves with the next news, past a moment, or with the signal. */
function changed(
  tail: StreamTail,
  clock: StreamClock,
  untilMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      stop();
      callOff();
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const stop = tail.onChange(done);
    // One more, for the moment itself still counts.
    const callOff = clock.schedule(Math.max(0, Math.ceil(untilMs - clock.monotonicMs())) + 1, done);
    signal?.addEventListener("abort", done);
  });
}
