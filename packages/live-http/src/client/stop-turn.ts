import { errorOf, LinkLostError } from "./refused.ts";
import { below, platformFetch, requestInit, urlsOf, type SessionTarget } from "./watch-options.ts";

/**
 * Stops a turn of a session, which is an act of its own: leaving a watch stops nothing.
 *
 * Every region is tried in turn, once; stopping twice is stopping once.
 *
 * @returns whether there was something to stop.
 * @throws LiveHttpError `REFUSED`; what `fetch` rejected with where none could be reached; the signal's reason.
 */
export async function stopTurn(target: SessionTarget, turn: string): Promise<boolean> {
  const { fetch = platformFetch, signal } = target;
  let lost: unknown;
  for (const url of urlsOf(target)) {
    signal?.throwIfAborted();
    try {
      const init = await requestInit(target, signal);
      const response = await fetch(below(url, "stop").href, {
        ...init,
        method: "POST",
        headers: { ...init.headers, "content-type": "application/json" },
        body: JSON.stringify({ turn }),
      });
      if (response.status !== 200) throw await errorOf(response);
      return ((await response.json()) as { readonly cancelled?: unknown }).cancelled === true;
    } catch (error) {
      lost = error instanceof LinkLostError ? new Error(error.message, { cause: error }) : error;
    }
  }
  throw lost;
}
