import { guardSafe, type Hasher, nobleHasher } from "@tidemark/core";
import { type Kv, KvError } from "@tidemark/kv";
import type { CorsOptions } from "../cors.ts";
import { platformTimer, type SetTimer } from "../platform.ts";

/** What {@link StreamAuthorizer} is asked: what a request is about to do to a stream. */
export interface StreamAccess {
  /** To close is to append. A fork is created, and its source is read: that is asked for both. */
  readonly action: "create" | "append" | "read" | "delete";
  /** The path of the stream's URL, percent-encoded as it came. */
  readonly path: string;
}

/**
 * Decides about every request but the question of a browser whether it may ask (`OPTIONS`). `false` is answered with 403;
 * an answer of its own, such as 401 with `WWW-Authenticate`, is given as it is. One that rejects refuses.
 */
export type StreamAuthorizer = (
  request: Request,
  access: StreamAccess,
) => boolean | Response | Promise<boolean | Response>;

/** Limits of the handler: what is above is refused, and changes nothing. */
export interface StreamLimits {
  /** The longest body of a PUT or POST, in bytes: 413. The store may take less. @defaultValue 1 MiB */
  readonly bodyBytesMax?: number;
  /** How many bytes may be appended to a stream in its life: 413. @defaultValue 1 GiB */
  readonly streamBytesMax?: number;
  /** How many producers may write to a stream: 429. @defaultValue 1,024 */
  readonly producersMax?: number;
  /** How many forks a stream may have at once: 429. @defaultValue 256 */
  readonly forksMax?: number;
  /** How deep forks of forks may go: 429. @defaultValue 16 */
  readonly forkDepthMax?: number;
  /** How many readers may wait at once, in this process: 429. @defaultValue 1,024 */
  readonly waitersMax?: number;
  /** How many bodies may be under way at once, in this process: 429. @defaultValue 256 */
  readonly writesMax?: number;
  /** After how many bytes a response ends: the append that passes it is its last. @defaultValue 1 MiB */
  readonly readBytesMax?: number;
  /** How long a long-poll waits. @defaultValue 20,000 */
  readonly longPollMs?: number;
  /** How long an event stream lasts before its reader is to come again. @defaultValue 60,000 */
  readonly eventStreamMs?: number;
  /** How often an event stream says that it lives. @defaultValue 10,000 */
  readonly heartbeatMs?: number;
  /** How often a stream is looked at that somebody waits for, in a store without a watch. @defaultValue 250 */
  readonly pollMs?: number;
}

/** What {@link durableStreams} takes. */
export interface DurableStreamsOptions extends StreamLimits {
  /** Where the streams lie. It is borrowed: the caller closes it. */
  readonly kv: Kv;
  /** Required, unless `development` is set. */
  readonly authorize?: StreamAuthorizer;
  /** Lets a handler without `authorize` be made: whoever can reach it may do everything. @defaultValue false */
  readonly development?: boolean;
  /** Parts these streams from what else lies in the store: 1 to 64 ASCII characters. @defaultValue "durable-streams" */
  readonly namespace?: string;
  /** What all paths begin with, without a slash at its end; others are not found. @defaultValue "" */
  readonly basePath?: string;
  /** @defaultValue no other origin */
  readonly cors?: CorsOptions;
  /** Whether caches that many share may keep what is read. @defaultValue "private" */
  readonly cache?: "public" | "private";
  /** Told of what no response says: errors of the store, of the hook, and of cleaning up. @defaultValue nobody */
  readonly onError?: (error: unknown) => void;
  /** Told once that a handler without `authorize` was made. @defaultValue `console.warn` */
  readonly log?: (message: string) => void;
  /** @defaultValue `nobleHasher`; `@tidemark/blake3-wasm` is faster */
  readonly hasher?: Hasher;
  /** Time, for waiting, heartbeats and deadlines; returns how to cancel. @defaultValue `setTimeout` */
  readonly setTimer?: SetTimer;
  /** @defaultValue `crypto.getRandomValues` */
  readonly randomBytes?: (count: number) => Uint8Array;
}

/** The options with all that was left out. */
export interface StreamSettings extends Required<StreamLimits> {
  readonly kv: Kv;
  readonly namespace: string;
  readonly basePath: string;
  readonly cors: CorsOptions | undefined;
  readonly cache: "public" | "private";
  readonly authorize: StreamAuthorizer;
  readonly onError: (error: unknown) => void;
  readonly hasher: Hasher;
  readonly setTimer: SetTimer;
  readonly randomBytes: (count: number) => Uint8Array;
}

const MIB = 1024 * 1024;
/** What a record and a commit have beside the bytes of an append. */
const RECORD_BYTES = 16 * 1024;

/**
 * Fills the options in.
 *
 * @throws `TypeError` without `authorize` where `development` is not set; `RangeError` for a limit that is none;
 * `KvError` `KV_UNSUPPORTED` for a store that does not scan.
 */
export function streamSettings(options: DurableStreamsOptions): StreamSettings {
  const { kv, namespace = "durable-streams", basePath = "" } = options;
  if (!/^[\x21-\x7e]{1,64}$/.test(namespace))
    throw new RangeError("namespace must have 1 to 64 characters of ASCII");
  if (!/^(?:\/[\w.~-]+)*$/.test(basePath)) {
    throw new RangeError("A base path is empty, or begins with a slash and does not end with one");
  }
  const { commitBytesMax, name, scan, valueBytesMax } = kv.capabilities;
  if (!scan) {
    throw new KvError("KV_UNSUPPORTED", `Streams need a store that scans: ${name} does not`, {
      capability: "scan",
    });
  }
  const storable = Math.max(1, Math.min(commitBytesMax, valueBytesMax) - RECORD_BYTES);
  return {
    kv,
    namespace,
    basePath,
    cors: options.cors,
    cache: options.cache ?? "private",
    authorize: authorizerOf(options),
    onError: options.onError ?? (() => {}),
    hasher: options.hasher ?? nobleHasher,
    setTimer: options.setTimer ?? platformTimer,
    randomBytes: options.randomBytes ?? platformBytes,
    bodyBytesMax: Math.min(storable, limit(options.bodyBytesMax, "bodyBytesMax", MIB)),
    streamBytesMax: limit(options.streamBytesMax, "streamBytesMax", 1024 * MIB),
    producersMax: limit(options.producersMax, "producersMax", 1_024),
    forksMax: limit(options.forksMax, "forksMax", 256),
    forkDepthMax: limit(options.forkDepthMax, "forkDepthMax", 16),
    waitersMax: limit(options.waitersMax, "waitersMax", 1_024),
    writesMax: limit(options.writesMax, "writesMax", 256),
    readBytesMax: limit(options.readBytesMax, "readBytesMax", MIB),
    longPollMs: limit(options.longPollMs, "longPollMs", 20_000),
    eventStreamMs: limit(options.eventStreamMs, "eventStreamMs", 60_000),
    heartbeatMs: limit(options.heartbeatMs, "heartbeatMs", 10_000),
    pollMs: limit(options.pollMs, "pollMs", 250),
  };
}

function authorizerOf({ authorize, development = false, log }: DurableStreamsOptions): StreamAuthorizer {
  if (authorize !== undefined) return authorize;
  if (!development) {
    throw new TypeError("Streams are not for everybody: give `authorize`, or set `development`");
  }
  // oxlint-disable-next-line no-console -- the one line that must not be missed
  const say = log ?? console.warn;
  say("@tidemark/live-http lets everybody read and write every stream: for development only");
  return () => true;
}

function limit(value: number | undefined, name: string, fallback: number): number {
  return value === undefined ? fallback : guardSafe(value, name, 1);
}

function platformBytes(count: number): Uint8Array {
  return globalThis.crypto.getRandomValues(new Uint8Array(count));
}
