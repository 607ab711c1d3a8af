import type { LiveSession } from "@tidemark/live";
import type { CorsOptions } from "./cors.ts";
import { platformTimer, type SetTimer } from "./platform.ts";

/** What a request wants: to see a session as it is, to go on seeing it, or to stop a turn of it. */
export type LiveAction = "observe" | "watch" | "stop";

/** What {@link LiveHandlerOptions.authorize} is asked. */
export interface LiveAccess {
  readonly session: string;
  readonly action: LiveAction;
}

/**
 * Its answer: `true`; who the client is, for the limit of streams a client may have; `false`, which is answered with 403;
 * or an answer of your own, such as 401 with `WWW-Authenticate`. Whatever else it gives refuses.
 */
export type LiveAuthorization = boolean | { readonly client: string } | Response;

/** What of the handle of `@tidemark/live` is used: give it as it is, or sessions of your own. */
export interface ServedLive<View> {
  session(id: string): Pick<LiveSession<View>, "observe" | "watch" | "cancelTurn">;
}

/** How sessions are served. */
export interface LiveHandlerOptions<View = unknown> {
  readonly live: ServedLive<View>;
  /**
   * Decides about every request but the question of a browser whether it may ask (`OPTIONS`). Required, unless
   * `development` is set: a cursor is a hint of where its bearer stands and gives no right. One that rejects refuses.
   */
  readonly authorize?: (
    request: Request,
    access: LiveAccess,
  ) => LiveAuthorization | Promise<LiveAuthorization>;
  /** Lets a handler without `authorize` be made, which shows everything to everybody. @defaultValue false */
  readonly development?: boolean;
  /** What all paths begin with, without a slash at its end. @defaultValue "/sessions" */
  readonly basePath?: string;
  /** @defaultValue no other origin */
  readonly cors?: CorsOptions;
  /**
   * Keys of 32 bytes and more with which cursors are sealed: clients cannot make them up. The first seals, all open; give all
   * regions the same. @defaultValue cursors are not sealed
   */
  readonly cursorKeys?: readonly Uint8Array[];
  /**
   * Whether a session is over for good. Who has read all of it is then answered with 204, on which an `EventSource` comes
   * back no more. @defaultValue none is
   */
  readonly finished?: (session: string) => boolean | Promise<boolean>;
  /** Silence after which something is sent, in milliseconds; 10,000 at most. @defaultValue 10,000 */
  readonly heartbeatMs?: number;
  /** Streams open in all; one more is answered with 503. @defaultValue 1,000 */
  readonly streamsMax?: number;
  /** Streams of one client, or, where `authorize` names none, of one session; one more: 429. @defaultValue 32 */
  readonly streamsPerClientMax?: number;
  /** How long a stream lasts, in milliseconds; then the client comes back and is authorised again. @defaultValue 900,000 */
  readonly streamMsMax?: number;
  /** How long a client may leave unread what waits for it, in milliseconds. @defaultValue 60,000 */
  readonly unreadMsMax?: number;
  /** How long an answer may take to begin, in milliseconds. @defaultValue 10,000 */
  readonly answerMsMax?: number;
  /** Bytes of the body of a request. @defaultValue 4,096 */
  readonly bodyBytesMax?: number;
  /** Characters of the headers, and of the address. @defaultValue 16,384 */
  readonly headerCharactersMax?: number;
  /** Ends all streams in good order, as when a server is to stop: their clients come back elsewhere. */
  readonly signal?: AbortSignal;
  /** Told of failures that nobody expected, which clients see as 500. @defaultValue nobody */
  readonly onError?: (error: unknown) => void;
  /** Told once that a handler without `authorize` was made. @defaultValue `console.warn` */
  readonly log?: (message: string) => void;
  /** Time, for heartbeats and deadlines; returns how to cancel. @defaultValue `setTimeout` */
  readonly setTimer?: SetTimer;
}

/** The numbers, filled in. */
export interface LiveHandlerLimits {
  readonly heartbeatMs: number;
  readonly streamsMax: number;
  readonly streamsPerClientMax: number;
  readonly streamMsMax: number;
  readonly unreadMsMax: number;
  readonly answerMsMax: number;
  readonly bodyBytesMax: number;
  readonly headerCharactersMax: number;
}

/** What holds where an option is left out. */
export const LIVE_HANDLER_DEFAULTS: LiveHandlerLimits = {
  heartbeatMs: 10_000,
  streamsMax: 1_000,
  streamsPerClientMax: 32,
  streamMsMax: 900_000,
  unreadMsMax: 60_000,
  answerMsMax: 10_000,
  bodyBytesMax: 4_096,
  headerCharactersMax: 16_384,
};

/** Proxies close a connection that is silent for longer. */
const HEARTBEAT_MS_MAX = 10_000;

/** Everything but functions, checked and filled in. */
export interface LiveHandlerSettings {
  readonly limits: LiveHandlerLimits;
  readonly basePath: string;
  readonly setTimer: SetTimer;
}

/**
 * Checks the options.
 *
 * @throws TypeError without `authorize` where `development` is not set; RangeError for a limit that is none.
 */
export function settingsOf<View>(options: LiveHandlerOptions<View>): LiveHandlerSettings {
  const { basePath = "/sessions", setTimer = platformTimer } = options;
  if (typeof options.authorize !== "function") {
    if (options.development !== true)
      throw new TypeError("Sessions are not shown to everybody: give `authorize`, or set `development`");
    // oxlint-disable-next-line no-console -- the one line that must not be missed
    const { log = console.warn } = options;
    log("@tidemark/live-http shows every session to everybody: for development only");
  }
  if (!/^(?:\/[\w.~-]+)*$/.test(basePath))
    throw new RangeError("A base path is empty, or begins with a slash and does not end with one");
  const limits = Object.fromEntries(
    Object.entries(LIVE_HANDLER_DEFAULTS).map(([name, value]) => {
      const given = options[name as keyof LiveHandlerLimits] ?? (value as number);
      if (!Number.isSafeInteger(given) || given < 1) throw new RangeError(`${name} is a whole number from 1`);
      return [name, given];
    }),
  ) as unknown as LiveHandlerLimits;
  if (limits.heartbeatMs > HEARTBEAT_MS_MAX)
    throw new RangeError(
      `heartbeatMs is ${HEARTBEAT_MS_MAX} at most: proxies close what is silent for longer`,
    );
  return { limits, basePath, setTimer };
}
