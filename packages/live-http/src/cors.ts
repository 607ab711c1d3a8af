/** Which pages of other origins a browser lets read the answers. */
export interface CorsOptions {
  /** Origins as browsers send them, such as `https://app.example`; `"*"` for every one, and then without cookies. */
  readonly origins: readonly string[] | "*";
  /** Whether requests may carry cookies. @defaultValue true for listed origins */
  readonly credentials?: boolean;
  /** How long a browser may keep the answer to its question. @defaultValue 600 */
  readonly maxAgeS?: number;
}

/** What pages may ask a handler for, and read of its answers. */
export interface CorsSurface {
  readonly methods: string;
  readonly requestHeaders: string;
  readonly responseHeaders: string;
}

const SESSIONS: CorsSurface = {
  methods: "GET, POST",
  requestHeaders: "authorization, content-type, last-event-id",
  responseHeaders: "retry-after",
};
const MAX_AGE_S = 600;

/**
 * What CORS adds to an answer; nothing for an origin that is not allowed.
 *
 * @param options - Without them no other origin is allowed.
 * @param surface - What there is to allow. Without it: what a handler of sessions has.
 * @throws RangeError if every origin should be let in with cookies.
 */
export function corsHeaders(
  options: CorsOptions | undefined,
  surface: CorsSurface = SESSIONS,
): (request: Request) => Readonly<Record<string, string>> {
  if (options === undefined) return () => ({});
  const { origins, credentials = origins !== "*", maxAgeS = MAX_AGE_S } = options;
  if (origins === "*" && credentials)
    throw new RangeError("Cookies of every origin are not allowed: list the origins");
  const asked = {
    "access-control-allow-methods": surface.methods,
    "access-control-allow-headers": surface.requestHeaders,
    "access-control-max-age": String(maxAgeS),
  };
  const allowed = origins === "*" ? undefined : new Set(origins);
  return (request) => {
    const origin = request.headers.get("origin");
    // A cache must not give the answer for one origin to another.
    const vary = { vary: "Origin" };
    if (origin === null || (allowed !== undefined && !allowed.has(origin))) return vary;
    return {
      ...vary,
      "access-control-allow-origin": allowed === undefined ? "*" : origin,
      "access-control-expose-headers": surface.responseHeaders,
      ...(credentials ? { "access-control-allow-credentials": "true" } : {}),
      ...(request.method === "OPTIONS" ? asked : {}),
    };
  };
}
