import type { OperationPosition, Region, WriteOptions, WriteResult } from "@tidemark/region";
import type { Operation } from "./operation.ts";

/** What a region answered. */
export interface Answer {
  readonly outcome: "applied" | "duplicate" | "refused";
  /** The operation's place in its session; nobody is told that of a start. */
  readonly position?: OperationPosition;
  /** The code of a refusal. */
  readonly reason?: string;
  /** Whether it was submitted again because the region was killed before it had answered. */
  readonly isRepeated?: boolean;
}

/** How an operation is submitted. */
export interface SubmitOptions extends WriteOptions {
  readonly operationId: string;
  /** When it happened, Unix milliseconds: the same at every attempt. */
  readonly eventTimeMs: number;
}

/** The refusals that an app expects. Everything else that a write rejects with ends the run. */
const REFUSALS = new Set(["SESSION_UNKNOWN", "SESSION_CLOSED", "SESSION_EXISTS", "INVALID_WEIGHT"]);

/** Submits an operation to a region, as an app would. */
export async function submit(region: Region, operation: Operation, options: SubmitOptions): Promise<Answer> {
  try {
    if (operation.op === "start") return await start(region, operation, options);
    return answerOf(await write(region, operation, options));
  } catch (error) {
    const { code } = error as { readonly code?: unknown };
    if (typeof code === "string" && REFUSALS.has(code)) return { outcome: "refused", reason: code };
    throw error;
  }
}

async function start(
  region: Region,
  operation: Operation & { op: "start" },
  options: SubmitOptions,
): Promise<Answer> {
  const { session: id, user, agent, metadata } = operation;
  const isKnown = region.sessions.get(id) !== undefined;
  await region.sessions.start({ ...options, id, user, agent, metadata: recordOf(metadata) });
  return { outcome: isKnown ? "duplicate" : "applied" };
}

async function write(
  region: Region,
  operation: Exclude<Operation, { op: "start" }>,
  options: SubmitOptions,
): Promise<WriteResult> {
  const session = region.sessions.get(operation.session);
  if (session === undefined) return { outcome: "refused", reason: "SESSION_UNKNOWN" };
  switch (operation.op) {
    case "signal":
      return session.signal(operation.entity, operation.signal, operation.weight, options);
    case "prefer":
      return session.prefer(operation.key, operation.value, options);
    case "annotate": {
      const { text, entity } = operation;
      return session.annotate(text, entity === undefined ? options : { ...options, entity });
    }
    case "hide":
      return session.hide(operation.item, options);
    case "unhide":
      return session.unhide(operation.item, options);
    case "search":
      return session.search(operation.query, options);
    case "close":
      return session.close(options);
  }
}

function answerOf({ outcome, position, reason }: WriteResult): Answer {
  return {
    outcome,
    ...(position === undefined ? {} : { position }),
    ...(reason === undefined ? {} : { reason }),
  };
}

/** A record without a prototype, so that `__proto__` is a key like any other. */
function recordOf(entries: ReadonlyMap<string, string>): Record<string, string> {
  const record = Object.create(null) as Record<string, string>;
  for (const [key, value] of entries) record[key] = value;
  return record;
}
