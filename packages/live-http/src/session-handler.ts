import type { LiveCursor, LiveItem } from "@tidemark/live";
import { corsHeaders } from "./cors.ts";
import { OPEN_CURSORS, sealWith } from "./cursor-seal.ts";
import { platformRandom } from "./platform.ts";
import { seenOf } from "./session-frame.ts";
import { settingsOf, type LiveHandlerOptions } from "./session-options.ts";
import { jsonResponse, refusalOf, SessionRefusal } from "./session-refusal.ts";
import { readSessionRequest, readTurn, type SessionRequest } from "./session-request.ts";
import { sessionStream } from "./session-stream.ts";
import { StreamCounts } from "./stream-counts.ts";

/** How long the answer to a client that comes back waits for an error that would make it another. */
const FIRST_ITEM_MS = 100;
/** When a plain `EventSource` comes back: half as long to half as long again, so that they do not come all at once. */
const RETRY_MS = 1_000;

/**
 * Makes a handler that shows live sessions over HTTP.
 *
 * - `GET <base>/<session>/events`: what happens, as server-sent events, behind `Last-Event-ID` or `?after=`.
 * - `GET <base>/<session>`: what is to be seen now, as JSON, with the cursor to watch from.
 * - `POST <base>/<session>/stop` with `{"turn":"…"}`: ends a turn. Going away never does.
 *
 * It keeps no state but the count of its streams, and takes and gives what `fetch` knows.
 *
 * @throws TypeError without `authorize` where `development` is not set; RangeError for a limit that is none.
 */
export function liveHandler<View>(
  options: LiveHandlerOptions<View>,
): (request: Request) => Promise<Response> {
  const { limits, basePath, setTimer } = settingsOf(options);
  const { live, finished, onError } = options;
  const cors = corsHeaders(options.cors);
  const cursors = options.cursorKeys === undefined ? OPEN_CURSORS : sealWith(options.cursorKeys);
  const counts = new StreamCounts(limits);

  const refuse = (error: unknown): SessionRefusal => {
    const refusal = refusalOf(error);
    if (refusal !== undefined) return refusal;
    onError?.(error);
    return new SessionRefusal("INTERNAL", "Cannot answer: the server failed");
  };

  /** Rejects with `UNAVAILABLE` unless it is there in time. */
  const inTime = <Value>(value: Promise<Value>): Promise<Value> =>
    new Promise((resolve, reject) => {
      const cancel = setTimer(limits.answerMsMax, () =>
        reject(new SessionRefusal("UNAVAILABLE", `Cannot answer within ${limits.answerMsMax} ms`)),
      );
      void value.then(resolve, reject).finally(cancel);
    });

  const isOver = async (session: string, cursor: LiveCursor): Promise<boolean> => {
    if (finished === undefined || !(await finished(session))) return false;
    const { cursor: last } = await live.session(session).observe();
    return last.incarnation === cursor.incarnation && last.position === cursor.position;
  };

  const observe = async (session: string): Promise<Response> => {
    const observation = await live.session(session).observe();
    return jsonResponse({ ...seenOf(observation), cursor: await cursors.seal(observation.cursor) });
  };

  const stop = async (request: Request, session: string): Promise<Response> => {
    const turn = await readTurn(request, limits.bodyBytesMax);
    return jsonResponse({ cancelled: await live.session(session).cancelTurn(turn) });
  };

  const watch = async (
    request: Request,
    { session, after: text }: SessionRequest,
    client: string,
  ): Promise<Response> => {
    if (options.signal?.aborted === true)
      throw new SessionRefusal("UNAVAILABLE", "Cannot open a stream: the server stops");
    const after = text === undefined ? undefined : await cursors.open(text, session);
    if (after !== undefined && (await isOver(session, after))) return new Response(null, { status: 204 });
    const leave = counts.enter(client);
    const gone = new AbortController();
    const { signal } = gone;
    const end = (): void => {
      leave();
      gone.abort();
    };
    try {
      const watched = live.session(session).watch(after === undefined ? { signal } : { after, signal });
      const items: AsyncIterator<LiveItem<unknown>> = watched[Symbol.asyncIterator]();
      const first = items.next();
      // Who begins gets an observation at once; who comes back may wait for long, and is told so by now.
      if (after === undefined) await inTime(first);
      else await early(first);
      const body = sessionStream({
        items,
        first,
        ...(after === undefined ? {} : { after }),
        signals: [request.signal, ...(options.signal === undefined ? [] : [options.signal])],
        ...limits,
        retryMs: RETRY_MS * (0.5 + platformRandom()),
        setTimer,
        writeCursor: (cursor) => cursors.seal(cursor),
        finished: (cursor) => isOver(session, cursor),
        failed: (error) => {
          const { code, message } = refuse(error);
          return { code, message };
        },
        onEnd: end,
      });
      return new Response(body, { headers: STREAM_HEADERS });
    } catch (error) {
      end();
      throw error;
    }
  };

  /** Waits a moment for something that is there or fails at once. */
  const early = (first: Promise<unknown>): Promise<void> =>
    new Promise((resolve, reject) => {
      const cancel = setTimer(FIRST_ITEM_MS, resolve);
      void first.then(() => resolve(), reject).finally(cancel);
    });

  const answer = async (request: Request): Promise<Response> => {
    const wanted = readSessionRequest(request, basePath, limits.headerCharactersMax);
    const { session, action } = wanted;
    const allowed =
      (await options.authorize?.(request, { session, action })) ?? options.authorize === undefined;
    if (allowed instanceof Response) return allowed;
    const client = typeof allowed === "object" ? allowed.client : undefined;
    if (allowed !== true && typeof client !== "string")
      throw new SessionRefusal("FORBIDDEN", "This is not yours to see");
    if (action === "observe") return observe(session);
    if (action === "stop") return stop(request, session);
    return watch(request, wanted, client ?? session);
  };

  return async (request) => {
    const added = cors(request);
    if (request.method === "OPTIONS") return new Response(null, { status: 204, headers: { ...added } });
    const answered = answer(request);
    try {
      return withHeaders(await inTime(answered), added);
    } catch (error) {
      // What comes too late is a stream that nobody reads.
      void answered.then(({ body }) => body?.cancel()).catch(() => undefined);
      return withHeaders(refuse(error).toResponse(), added);
    }
  };
}

/** A copy: an answer of others may not let its headers be changed. */
function withHeaders(response: Response, added: Readonly<Record<string, string>>): Response {
  const copy = new Response(response.body, response);
  for (const [name, value] of Object.entries(added)) copy.headers.append(name, value);
  return copy;
}

const STREAM_HEADERS = {
  "content-type": "text/event-stream; charset=utf-8",
  // Some proxies compress, and then hold back what is small.
  "cache-control": "no-store, no-transform",
  "x-accel-buffering": "no",
  "x-content-type-options": "nosniff",
};
