import { decodeLivePayload, type LiveGapReason, type LivePayload } from "@tidemark/live";
import { LiveHttpError } from "../errors.ts";
import type { SseEvent } from "../sse-event.ts";

/** An event of a session, as it came over HTTP. */
export interface WatchedEvent<View = unknown, Activity = unknown> {
  readonly session: string;
  readonly revision: number;
  /** Opaque: going on behind it leaves the event out. */
  readonly cursor: string;
  readonly payload: LivePayload<View, Activity>;
}

/** What was to be seen of a session at a moment. */
export interface WatchedObservation<View = unknown> {
  readonly session: string;
  readonly revision: number;
  readonly view: View;
  /** Opaque: going on behind it misses nothing that the view does not show. */
  readonly cursor: string;
}

/** That events are missing, and why; see `LiveGap` of `@tidemark/live`. */
export interface WatchedGap {
  readonly session: string;
  readonly reason: LiveGapReason;
  readonly requested: string;
  readonly latest: string;
  readonly latestRevision: number;
  readonly missed?: number;
}

/** What {@link watchSession} gives. */
export type WatchedItem<View = unknown, Activity = unknown> =
  | { readonly kind: "event"; readonly event: WatchedEvent<View, Activity> }
  | { readonly kind: "gap"; readonly gap: WatchedGap; readonly observation: WatchedObservation<View> }
  | { readonly kind: "observation"; readonly observation: WatchedObservation<View> };

type Fields = Readonly<Record<string, unknown>>;

const REASONS: ReadonlySet<unknown> = new Set<LiveGapReason>(["trimmed", "unavailable", "lagged"]);

/**
 * Reads what a server sent about a session.
 *
 * @returns `undefined` for an event of a name that is not known here: a newer server may have more.
 * @throws {@link LiveHttpError} `SSE_MALFORMED`. Views and activities are whatever JSON they are.
 */
export function decodeItem<View = unknown, Activity = unknown>(
  event: SseEvent,
): WatchedItem<View, Activity> | undefined {
  const { event: name = "message", id, data } = event;
  if (name !== "message" && name !== "observation" && name !== "gap") return undefined;
  const cursor = textOf(id, "id");
  const fields = fieldsOf(parse(data));
  if (name === "observation")
    return { kind: "observation", observation: observationOf<View>(fields, cursor) };
  if (name === "gap") {
    const observation = observationOf<View>(fieldsOf(fields["observation"]), cursor);
    return { kind: "gap", gap: gapOf(fields), observation };
  }
  const session = textOf(fields["session"], "session");
  const revision = countOf(fields["revision"], "revision");
  return {
    kind: "event",
    event: { session, revision, cursor, payload: payloadOf<View, Activity>(fields["payload"]) },
  };
}

function observationOf<View>(fields: Fields, cursor: string): WatchedObservation<View> {
  if (!("view" in fields)) throw malformed("its view is missing");
  const session = textOf(fields["session"], "session");
  return { session, revision: countOf(fields["revision"], "revision"), view: fields["view"] as View, cursor };
}

function gapOf(fields: Fields): WatchedGap {
  const { reason, missed } = fields;
  if (!REASONS.has(reason)) throw malformed("its reason is not known");
  const gap = {
    session: textOf(fields["session"], "session"),
    reason: reason as LiveGapReason,
    requested: textOf(fields["requested"], "requested"),
    latest: textOf(fields["latest"], "latest"),
    latestRevision: countOf(fields["latestRevision"], "latestRevision"),
  };
  return missed === undefined ? gap : { ...gap, missed: countOf(missed, "missed") };
}

function payloadOf<View, Activity>(value: unknown): LivePayload<View, Activity> {
  try {
    return decodeLivePayload(JSON.stringify(value ?? null)) as LivePayload<View, Activity>;
  } catch (error) {
    throw malformed("its payload is none", error);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw malformed("its data is no JSON", error);
  }
}

function fieldsOf(value: unknown): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw malformed("its data is no object");
  return value as Fields;
}

function textOf(value: unknown, name: string): string {
  if (typeof value !== "string" || value === "") throw malformed(`its ${name} is missing`);
  return value;
}

function countOf(value: unknown, name: string): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw malformed(`its ${name} is no count`);
  return value as number;
}

function malformed(why: string, cause?: unknown): LiveHttpError {
  return new LiveHttpError("SSE_MALFORMED", `Cannot read an event: ${why}`, { cause });
}
