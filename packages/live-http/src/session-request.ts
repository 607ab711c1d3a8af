import { LIVE_SESSION_BYTES_MAX } from "@tidemark/live";
import { readBody } from "./read-body.ts";
import { SessionRefusal } from "./session-refusal.ts";
import type { LiveAction } from "./session-options.ts";

/** What a request asks for. */
export interface SessionRequest {
  readonly session: string;
  readonly action: LiveAction;
  /** The cursor behind which to go on, as it was sent. */
  readonly after?: string;
}

const METHODS: Readonly<Record<LiveAction, string>> = { observe: "GET", watch: "GET", stop: "POST" };
const ACTIONS: Readonly<Record<string, LiveAction>> = { "": "observe", "/events": "watch", "/stop": "stop" };
const utf8 = new TextEncoder();

/**
 * Reads method, address and headers: `<base>/<session>`, `<base>/<session>/events`, `<base>/<session>/stop`.
 *
 * @throws {@link SessionRefusal}
 */
export function readSessionRequest(
  request: Request,
  basePath: string,
  charactersMax: number,
): SessionRequest {
  refuseLarge(request, charactersMax);
  const { pathname, searchParams } = new URL(request.url);
  const path = pathname.startsWith(`${basePath}/`) ? pathname.slice(basePath.length + 1) : undefined;
  const [, encoded, rest = ""] = /^([^/]*)(\/.*)?$/.exec(path ?? "/") ?? [];
  const action = Object.hasOwn(ACTIONS, rest) ? ACTIONS[rest] : undefined;
  if (path === undefined || encoded === undefined || action === undefined)
    throw new SessionRefusal("NOT_FOUND", "There is nothing under this path");
  const method = METHODS[action];
  if (request.method !== method)
    throw new SessionRefusal("METHOD_NOT_ALLOWED", `This path is for ${method}`, { allow: method });
  const session = sessionOf(encoded);
  // A browser that comes back sends both: the header is where it stands, the address where it began.
  const after = request.headers.get("last-event-id") || searchParams.get("after") || undefined;
  return after === undefined ? { session, action } : { session, action, after };
}

function refuseLarge(request: Request, charactersMax: number): void {
  let characters = request.url.length;
  for (const [name, value] of request.headers) characters += name.length + value.length;
  if (characters > charactersMax)
    throw new SessionRefusal(
      "HEADERS_TOO_LARGE",
      `Cannot read ${characters} characters of headers and address: the limit is ${charactersMax}`,
    );
}

function sessionOf(encoded: string): string {
  let session: string;
  try {
    session = decodeURIComponent(encoded);
  } catch {
    throw new SessionRefusal("SESSION_INVALID", "The path names no session: it is not percent-encoded UTF-8");
  }
  const bytes = utf8.encode(session).length;
  if (bytes === 0 || bytes > LIVE_SESSION_BYTES_MAX)
    throw new SessionRefusal(
      "SESSION_INVALID",
      `The path names no session: an id has 1 to ${LIVE_SESSION_BYTES_MAX} bytes`,
    );
  return session;
}

/**
 * Reads the body of a stop: `{"turn": "…"}`. As JSON, which a page of another origin may not send unasked.
 *
 * @throws {@link SessionRefusal} `BODY_INVALID`, `BODY_TOO_LARGE`.
 */
export async function readTurn(request: Request, bytesMax: number): Promise<string> {
  const type = request.headers.get("content-type") ?? "";
  if (!/^application\/json\s*(?:;|$)/i.test(type))
    throw new SessionRefusal("BODY_INVALID", "The body is to be application/json");
  const invalid = new SessionRefusal("BODY_INVALID", "The body is to be a JSON object with the turn to stop");
  let value: unknown;
  try {
    value = JSON.parse(
      new TextDecoder("utf-8", { fatal: true }).decode(await readBody(request, bytesMax, bodyTooLarge)),
    );
  } catch (error) {
    throw error instanceof SessionRefusal ? error : invalid;
  }
  const turn = typeof value === "object" && value !== null && "turn" in value ? value.turn : undefined;
  if (typeof turn !== "string" || turn === "") throw invalid;
  return turn;
}

function bodyTooLarge(bytesMax: number): SessionRefusal {
  return new SessionRefusal("BODY_TOO_LARGE", `Cannot read the body: the limit is ${bytesMax} bytes`);
}
