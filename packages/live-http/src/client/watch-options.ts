import type { SetTimer } from "../platform.ts";
import type { BackoffOptions } from "./backoff.ts";

/** The part of a request that is used. */
export interface FetchInit {
  readonly method?: "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly cache: "no-store";
  readonly credentials?: "omit" | "same-origin" | "include";
  readonly signal?: AbortSignal;
}

/** The part of `fetch` that is used. */
export type Fetch = (url: string, init: FetchInit) => Promise<Response>;

/** How a session is reached over HTTP. */
export interface SessionTarget {
  /**
   * The address of the session, without `/events`: `<base>/<session, percent-encoded>`. Several are regions: one that
   * fails is left for the next. Relative ones are of the page.
   */
  readonly url: string | URL | readonly (string | URL)[];
  /** @defaultValue the platform's */
  readonly fetch?: Fetch;
  /** Asked before each request, such as for a token that expires. @defaultValue none */
  readonly headers?: () => Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>;
  /** Whether cookies go to other origins. @defaultValue the platform's: they do not */
  readonly credentials?: "omit" | "same-origin" | "include";
  readonly signal?: AbortSignal;
}

/**
 * Where a watch stands. `connecting`: a request is under way. `live`: what happens comes. `gap`: something is missing, and
 * what is to be seen instead was given; until the next item. `offline`: nothing could be reached, and it is waited. `ended`:
 * nothing will come any more.
 */
export type WatchState = "connecting" | "live" | "gap" | "offline" | "ended";

/** What goes with a {@link WatchState}. */
export interface WatchStateDetail {
  /** The address that is tried, or was last. */
  readonly url: string;
  /** Why it is `offline`. */
  readonly error?: unknown;
  /** How long it is waited at most, in milliseconds, for `offline`. */
  readonly waitMs?: number;
}

/** How a session is watched. */
export interface WatchSessionOptions extends SessionTarget {
  /** The cursor to go on behind, from an item or from an observation. @defaultValue an observation comes first */
  readonly after?: string;
  readonly onState?: (state: WatchState, detail: WatchStateDetail) => void;
  /** Silence, in milliseconds, after which a link is given up. Servers send something each 10,000. @defaultValue 25,000 */
  readonly silenceMsMax?: number;
  readonly backoff?: BackoffOptions;
  /** From 0 to below 1. @defaultValue the platform's */
  readonly random?: () => number;
  /** Time; returns how to cancel. @defaultValue `setTimeout` */
  readonly setTimer?: SetTimer;
}

/** The addresses of a target, absolute where the platform is a page. */
export function urlsOf({ url }: SessionTarget): readonly URL[] {
  const given = typeof url === "string" || url instanceof URL ? [url] : url;
  const { location } = globalThis as { readonly location?: { readonly href: string } };
  if (given.length === 0) throw new RangeError("A session has one address at least");
  return given.map((one) => new URL(one, location?.href));
}

/** An address below that of the session. */
export function below(url: URL, name: string): URL {
  const longer = new URL(url);
  longer.pathname = `${longer.pathname.replace(/\/$/, "")}/${name}`;
  return longer;
}

/** The part of a request that every one has. */
export async function requestInit(
  target: SessionTarget,
  signal: AbortSignal | undefined,
): Promise<FetchInit> {
  return {
    headers: { ...(await target.headers?.()) },
    cache: "no-store",
    ...(target.credentials === undefined ? {} : { credentials: target.credentials }),
    ...(signal === undefined ? {} : { signal }),
  };
}

/** The platform's; called as a method of the platform, which browsers insist on. */
export const platformFetch: Fetch = (url, init) => globalThis.fetch(url, init);
