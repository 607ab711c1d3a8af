import type { Hasher } from "@tidemark/core";
import { type Kv, openMemoryKv } from "@tidemark/kv";
import {
  durableStreams,
  type DurableStreamsHandler,
  type DurableStreamsOptions,
  type SetTimer,
} from "../../src/durable-streams/index.ts";

/** A handler for everybody, if nothing else is said, over a store in memory if none is given. */
export function openStreams(options: Partial<DurableStreamsOptions> = {}): DurableStreamsHandler {
  return durableStreams({ kv: openMemoryKv(), authorize: () => true, onError: fail, ...options });
}

/** No checksums, which cost more than all the rest where every call is made to fail in turn. */
export const NO_HASHER: Hasher = {
  digest: (_context, _bytes, length = 32) => new Uint8Array(length),
  keyedDigest: (_key, _bytes, length = 32) => new Uint8Array(length),
};

/** What a request has beside its method and path. */
export interface Given {
  readonly body?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** Sends one request to a path of the server. */
export async function send(
  handle: DurableStreamsHandler,
  method: string,
  path: string,
  { body, headers = {}, signal }: Given = {},
): Promise<Response> {
  return handle(
    new Request(`http://streams.test${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: body as Uint8Array<ArrayBuffer> }),
      ...(signal === undefined ? {} : { signal }),
    }),
  );
}

export const TEXT = { "content-type": "text/plain" } as const;
export const BYTES = { "content-type": "application/octet-stream" } as const;
export const JSON_TYPE = { "content-type": "application/json" } as const;

/** The headers of an append of a producer. */
export function producer(id: string, epoch: number, sequence: number): Record<string, string> {
  return { "producer-id": id, "producer-epoch": `${epoch}`, "producer-seq": `${sequence}` };
}

/** All bytes of a stream, read from the beginning, as text. */
export async function readAll(handle: DurableStreamsHandler, path: string): Promise<string> {
  let text = "";
  let offset = "-1";
  for (;;) {
    const response = await send(handle, "GET", `${path}?offset=${offset}`);
    if (response.status !== 200) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
    text += await response.text();
    offset = response.headers.get("stream-next-offset")!;
    if (response.headers.get("stream-up-to-date") === "true") return text;
  }
}

/** The code of a refusal. */
export async function codeOf(response: Response): Promise<unknown> {
  return ((await response.json()) as { readonly code: unknown }).code;
}

/** Events as they come, one text of all that one read gave. */
export async function nextEvents(
  reader: ReadableStreamDefaultReader<Uint8Array>,
): Promise<string | undefined> {
  const { done, value } = await reader.read();
  return done ? undefined : new TextDecoder().decode(value);
}

/** A store without a watch. */
export function withoutWatch(kv: Kv): Kv {
  return {
    capabilities: { ...kv.capabilities, watch: false },
    nowMs: () => kv.nowMs(),
    get: (...given) => kv.get(...given),
    scan: (...given) => kv.scan(...given),
    commit: (...given) => kv.commit(...given),
    close: () => kv.close(),
    [Symbol.asyncDispose]: () => kv.close(),
  };
}

/** Time that passes when it is told to. */
export function manualTimers(): {
  readonly setTimer: SetTimer;
  /** Lets time pass: what is due runs. */
  pass(ms: number): void;
} {
  let nowMs = 0;
  const due = new Set<{ readonly atMs: number; readonly run: () => void }>();
  return {
    setTimer(ms, run) {
      const timer = { atMs: nowMs + ms, run };
      due.add(timer);
      return () => due.delete(timer);
    },
    pass(ms) {
      nowMs += ms;
      for (const timer of due) {
        if (timer.atMs > nowMs || !due.delete(timer)) continue;
        timer.run();
      }
    },
  };
}

function fail(error: unknown): void {
  throw error instanceof Error ? error : new Error(String(error));
}
