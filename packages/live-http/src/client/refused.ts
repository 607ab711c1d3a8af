import { LiveHttpError } from "../errors.ts";

/** Refusals that another try may not meet. */
const AGAIN: ReadonlySet<number> = new Set([408, 425, 429]);
const RETRY_AFTER_MS_MAX = 60_000;
const ANSWER_CHARACTERS_MAX = 4_096;

/** A link that could not be made or was lost: it is tried again. */
export class LinkLostError extends Error {
  override readonly name = "LinkLostError";
  /** How long the server asks to wait. */
  readonly retryAfterMs: number;

  constructor(message: string, options: { readonly cause?: unknown; readonly retryAfterMs?: number } = {}) {
    super(message, { cause: options.cause });
    this.retryAfterMs = options.retryAfterMs ?? 0;
  }
}

/** The error that an answer other than the wanted one stands for. It takes the body. */
export async function errorOf(response: Response): Promise<LinkLostError | LiveHttpError> {
  const { status } = response;
  if (status < 400 || status >= 500 || AGAIN.has(status)) {
    await response.body?.cancel().catch(() => undefined);
    const seconds = /^\d{1,6}$/.exec(response.headers.get("retry-after") ?? "")?.[0] ?? "0";
    const retryAfterMs = Math.min(Number(seconds) * 1_000, RETRY_AFTER_MS_MAX);
    return new LinkLostError(`The server answered ${status}`, { retryAfterMs });
  }
  const reason = await reasonOf(response);
  return new LiveHttpError(
    "REFUSED",
    `The server refused with ${status}${reason === undefined ? "" : `: ${reason}`}`,
    {
      status,
      ...(reason === undefined ? {} : { reason }),
    },
  );
}

async function reasonOf(response: Response): Promise<string | undefined> {
  const length = Number(response.headers.get("content-length") ?? Number.NaN);
  try {
    // An answer of ours says how long it is; what does not is not ours.
    if (!(length <= ANSWER_CHARACTERS_MAX)) {
      await response.body?.cancel();
      return undefined;
    }
    const { code } = (await response.json()) as { readonly code?: unknown };
    return typeof code === "string" ? code : undefined;
  } catch {
    return undefined;
  }
}
