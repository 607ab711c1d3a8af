import { LiveHttpError } from "../errors.ts";
import { platformRandom, platformTimer } from "../platform.ts";
import { backoffMs } from "./backoff.ts";
import { LinkLostError } from "./refused.ts";
import { SessionLink } from "./session-link.ts";
import type { WatchedItem } from "./watched-item.ts";
import { platformFetch, urlsOf, type WatchSessionOptions, type WatchState } from "./watch-options.ts";

/** A link that held for so long was a good one: what fails after it is a new failure. */
const GOOD_LINK_MS = 5_000;
const SILENCE_MS_MAX = 25_000;
/** So many spoilt events in a row are no accident of a link. */
const MALFORMED_MAX = 3;

/**
 * Watches a session over HTTP, over every interruption: an observation first, or what follows `after`; then events, each
 * once and in order. What could not be had is an item of kind `gap` with what is to be seen instead.
 *
 * A link that is lost is made again behind the last item, in the next region if there are several, at once; when all have
 * failed it is waited, longer each time. Leaving the loop or aborting the signal ends the watch, and cancels nothing of
 * the session.
 *
 * @throws {@link LiveHttpError} `REFUSED` if every address refuses in a way that trying again does not change,
 * `SSE_MALFORMED` if what comes is no session, again and again.
 */
export async function* watchSession<View = unknown, Activity = unknown>(
  options: WatchSessionOptions,
): AsyncGenerator<WatchedItem<View, Activity>, void, undefined> {
  const { signal, onState, random = platformRandom, backoff, silenceMsMax = SILENCE_MS_MAX } = options;
  const { setTimer = platformTimer, fetch = platformFetch } = options;
  const urls = urlsOf(options);
  let { after } = options;
  let [at, failures, refusals, malformed] = [0, 0, 0, 0];
  let state: WatchState | undefined;
  const tell = (next: WatchState, more: { error?: unknown; waitMs?: number } = {}): void => {
    if (state === next && next !== "offline") return;
    state = next;
    onState?.(next, { url: urls[at]!.href, ...more });
  };

  const isAborted = (): boolean => signal?.aborted === true;
  while (!isAborted()) {
    tell("connecting");
    let cancelGood = (): void => undefined;
    const link = new SessionLink({
      target: options,
      url: urls[at]!,
      after,
      fetch,
      silenceMsMax,
      setTimer,
      onOpen: () => {
        refusals = 0;
        cancelGood = setTimer(GOOD_LINK_MS, () => (failures = 0));
        tell("live");
      },
    });
    const close = (): void => link.close();
    signal?.addEventListener("abort", close, { once: true });
    let lost: LinkLostError | LiveHttpError | undefined;
    try {
      for await (const item of link.items<View, Activity>()) {
        malformed = 0;
        after = cursorOf(item);
        tell(item.kind === "gap" ? "gap" : "live");
        yield item;
      }
    } catch (error) {
      if (!(error instanceof LinkLostError || error instanceof LiveHttpError)) throw error;
      lost = error;
    } finally {
      cancelGood();
      signal?.removeEventListener("abort", close);
    }
    if (link.finished || isAborted()) break;
    if (lost instanceof LiveHttpError) {
      const count = lost.code === "REFUSED" ? ++refusals : ++malformed;
      if (count >= (lost.code === "REFUSED" ? urls.length : MALFORMED_MAX)) throw lost;
    }
    // A server that ended the stream in good order is asked again; one that failed is left.
    if (lost !== undefined) at = (at + 1) % urls.length;
    const round = Math.floor(failures / urls.length);
    const isRoundOver = lost === undefined || ++failures % urls.length === 0;
    if (lost === undefined) failures++;
    if (!isRoundOver) continue;
    const asked = lost instanceof LinkLostError ? lost.retryAfterMs : 0;
    const waitMs = Math.max(asked, backoffMs(round, random(), backoff));
    if (lost !== undefined) tell("offline", { error: lost, waitMs });
    await pause(waitMs, setTimer, signal);
  }
  tell("ended");
}

function cursorOf(item: WatchedItem): string {
  return item.kind === "event" ? item.event.cursor : item.observation.cursor;
}

/** The events of a page that say that trying again is worth it. */
interface Page {
  addEventListener?: (name: "online", run: () => void) => void;
  removeEventListener?: (name: "online", run: () => void) => void;
}

/** Waits; not beyond the signal, nor once the platform says that there is a network again. */
function pause(ms: number, setTimer: typeof platformTimer, signal: AbortSignal | undefined): Promise<void> {
  const page = globalThis as Page;
  return new Promise((resolve) => {
    const end = (): void => {
      cancel();
      signal?.removeEventListener("abort", end);
      page.removeEventListener?.("online", end);
      resolve();
    };
    const cancel = setTimer(ms, end);
    signal?.addEventListener("abort", end, { once: true });
    page.addEventListener?.("online", end);
  });
}
