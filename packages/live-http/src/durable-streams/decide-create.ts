import { messagesOf, type StreamBounds } from "./decide-append.ts";
import { parseMessages } from "./json-messages.ts";
import {
  accessChange,
  noChange,
  remainsItem,
  type StreamChange,
  type StreamSnapshot,
  touchChange,
} from "./stream-change.ts";
import { StreamRefusal } from "./stream-refusal.ts";
import { chunkItem, streamKeys, unchanged } from "./stream-rows.ts";
import {
  isJson,
  type Lifetime,
  mediaType,
  statusOf,
  type StreamPin,
  type StreamRegister,
  type StreamRequest,
} from "./stream-state.ts";

/** The content type of a stream that is created without one. */
export const CONTENT_TYPE_DEFAULT: string = "application/octet-stream";

/** What a request creates. */
export interface StreamCreation {
  /** Absent: that of the source of a fork, else {@link CONTENT_TYPE_DEFAULT}. */
  readonly contentType?: string;
  readonly request: StreamRequest;
  readonly closed: boolean;
  readonly body: Uint8Array;
}

/** What names a new life of a path. */
export interface StreamLife {
  readonly incarnation: string;
  /** Greater than 0. */
  readonly epoch: number;
}

/** What came of a creation, or of its first step if it is a fork. */
export type CreateResult =
  | { readonly kind: "created" | "existing"; readonly register: StreamRegister }
  /** The stream is kept for its forks, or for what is left of forks that never came to be. */
  | { readonly kind: "gone"; readonly register: StreamRegister }
  /** A fork whose source is to be pinned, then `decideFork` makes it whole. */
  | { readonly kind: "forming"; readonly register: StreamRegister };

/**
 * Decides a creation. What is there already and was asked for in the same words, open or closed as it is now, is the
 * answer. What has expired makes room, and remains to be removed.
 *
 * @throws StreamRefusal `STREAM_CONFLICT` for another stream; `BAD_REQUEST` for a
 * body that is not JSON and should be; `TOO_LARGE`.
 */
export function decideCreate(
  snapshot: StreamSnapshot,
  creation: StreamCreation,
  life: StreamLife,
  bounds: StreamBounds,
): StreamChange<CreateResult> {
  const present = snapshot.register.body;
  const status = statusOf(present, snapshot.lease.body, snapshot.nowMs);
  if (status === "gone") return noChange({ kind: "gone", register: present! });
  if (status === "live") {
    if (!sameCreation(present!, creation)) {
      throw new StreamRefusal("STREAM_CONFLICT", "The stream exists and is another");
    }
    return touchChange(snapshot, present!, { kind: "existing", register: present! });
  }
  if (present?.phase === "forming" && sameRequest(present.request, creation.request)) {
    // Whoever began it may have died: it goes on from where it is.
    return noChange({ kind: "forming", register: present });
  }
  return replaced(snapshot, present, newRegister(creation, life), creation, bounds);
}

/**
 * Decides the last step of a fork: its source is pinned, and says what it begins with.
 *
 * @returns `undefined` if the fork that was formed is no more: another creation took its place, and is to be judged.
 * @throws StreamRefusal As {@link decideCreate}.
 */
export function decideFork(
  snapshot: StreamSnapshot,
  creation: StreamCreation,
  formed: string,
  pin: StreamPin,
  bounds: StreamBounds,
): StreamChange<StreamRegister | undefined> {
  const register = snapshot.register.body;
  if (register?.incarnation !== formed) return noChange(undefined);
  // Whoever asked for the same has made it whole.
  if (register.phase !== "forming") return noChange(register);
  const lastEpoch = pin.inherited.at(-1)?.epoch ?? 0;
  const { ttlSeconds, expiresAt } = lifetimeOf(creation.request, pin);
  const fork: StreamRegister = {
    ...register,
    phase: "live",
    // Offsets of the fork's own data come after all that it has of others.
    epoch: Math.max(register.epoch, lastEpoch + 1),
    contentType: pin.contentType,
    inherited: pin.inherited,
    tail: pin.at.position,
    ...(ttlSeconds === undefined ? {} : { ttlSeconds }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
  };
  return withBody(snapshot, fork, creation, bounds, (whole) => accessChange(snapshot, whole, whole));
}

/** Whether a creation asks for the stream that is there. */
function sameCreation(present: StreamRegister, { contentType, request, closed }: StreamCreation): boolean {
  if (closed !== present.closed || !sameRequest(present.request, request)) return false;
  if (contentType === undefined && request.fork !== undefined) return true;
  return mediaType(contentType ?? CONTENT_TYPE_DEFAULT) === mediaType(present.contentType);
}

function sameRequest(present: StreamRequest, request: StreamRequest): boolean {
  return (
    present.ttlSeconds === request.ttlSeconds &&
    present.expiresAt === request.expiresAt &&
    present.fork?.path === request.fork?.path &&
    (request.fork?.offset === undefined || present.fork?.offset === request.fork.offset) &&
    present.fork?.subOffset === request.fork?.subOffset
  );
}

function newRegister(
  { contentType, request, closed }: StreamCreation,
  { incarnation, epoch }: StreamLife,
): StreamRegister {
  const { ttlSeconds, expiresAt, fork } = request;
  return {
    phase: fork === undefined ? "live" : "forming",
    incarnation,
    epoch,
    contentType: contentType ?? CONTENT_TYPE_DEFAULT,
    request,
    ...(ttlSeconds === undefined ? {} : { ttlSeconds }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
    inherited: [],
    tail: 0,
    bytes: 0,
    closed,
    producers: 0,
    pins: 0,
  };
}

function replaced(
  snapshot: StreamSnapshot,
  present: StreamRegister | undefined,
  register: StreamRegister,
  creation: StreamCreation,
  bounds: StreamBounds,
): StreamChange<CreateResult> {
  // A reader that renews the lease of what has expired a moment ago comes first, or not at all.
  const checks = [unchanged(snapshot.register), unchanged(snapshot.lease)];
  const change = (whole: StreamRegister): StreamChange<CreateResult> => {
    const kind = whole.phase === "forming" ? "forming" : "created";
    const written = accessChange<CreateResult>(snapshot, whole, { kind, register: whole });
    const remains = present === undefined ? [] : [remainsItem(snapshot, present)];
    return { ...written, checks, puts: [...written.puts, ...remains] };
  };
  if (register.phase === "forming") return change(register);
  return withBody(snapshot, register, creation, bounds, change);
}

/** Adds the first bytes of a stream to the change that writes its register. */
function withBody<Result>(
  { place }: StreamSnapshot,
  register: StreamRegister,
  { body }: StreamCreation,
  { streamBytesMax }: StreamBounds,
  change: (whole: StreamRegister) => StreamChange<Result>,
): StreamChange<Result> {
  const { data, count } = firstMessages(register.contentType, body);
  if (count === 0) return change(register);
  if (data.length > streamBytesMax) {
    throw new StreamRefusal("TOO_LARGE", `A stream may hold ${streamBytesMax} bytes`);
  }
  const key = streamKeys.chunk(register.incarnation, register.tail);
  const written = change({ ...register, tail: register.tail + count, bytes: data.length });
  return { ...written, puts: [...written.puts, chunkItem(key, data, place)] };
}

/** An empty array creates an empty stream, though it appends nothing to one. */
function firstMessages(contentType: string, body: Uint8Array) {
  if (body.length === 0 || !isJson(contentType)) return messagesOf(contentType, body);
  return parseMessages(body);
}

/** What a fork asks for, else what its source has. */
export function lifetimeOf({ ttlSeconds, expiresAt }: Lifetime, source: Lifetime): Lifetime {
  if (ttlSeconds !== undefined) return { ttlSeconds };
  if (expiresAt !== undefined) return { expiresAt };
  if (source.ttlSeconds !== undefined) return { ttlSeconds: source.ttlSeconds };
  return source.expiresAt === undefined ? {} : { expiresAt: source.expiresAt };
}
