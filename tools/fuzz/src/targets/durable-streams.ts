import { openMemoryKv } from "@tidemark/kv";
import { durableStreams, type DurableStreamsHandler } from "@tidemark/live-http/durable-streams";
import { bytesOf, type FuzzTarget } from "../target.ts";

const METHODS = ["PUT", "POST", "GET", "HEAD", "DELETE"];
const ZERO = "0000000000000000_0000000000000000";
/** No input is to wait for anything: whoever would is sent on at once. */
const IMPATIENT = (_ms: number, run: () => void): (() => void) => {
  queueMicrotask(run);
  return () => {};
};

/** Checksums are not what is tried here, and cost more than all the rest. */
const NO_HASHER = {
  digest: (_context: string, _bytes: Uint8Array, length = 32): Uint8Array => new Uint8Array(length),
  keyedDigest: (_key: Uint8Array, _bytes: Uint8Array, length = 32): Uint8Array => new Uint8Array(length),
};

/** What clients send to a handler of streams: a method and an address, lines of headers, an empty line, the body. */
export const DURABLE_STREAMS: readonly FuzzTarget[] = [
  {
    name: "durable-streams-requests",
    seeds: () =>
      [
        'POST /json\ncontent-type: application/json\n\n[{"a":[1,"]\\""]},2 ,null]',
        "POST /text\ncontent-type: text/plain\nproducer-id: p\nproducer-epoch: 0\nproducer-seq: 1\nstream-closed: true\n\nabc",
        "POST /text\ncontent-type: text/plain\nstream-seq: 2\n\n\u00e9",
        "PUT /new\ncontent-type: text/plain\nstream-ttl: 60\n\nfirst",
        "PUT /new\nstream-expires-at: 2030-01-01T00:00:00Z\nstream-closed: true\n\n",
        `PUT /fork\nstream-forked-from: /json\nstream-fork-offset: ${ZERO}\nstream-fork-sub-offset: 1\n\n[7]`,
        "GET /text?offset=-1&live=sse&cursor=5\n\n",
        `GET /json?offset=${ZERO}&live=long-poll\nif-none-match: W/"a:0:1"\n\n`,
        "HEAD /json\n\n",
        "DELETE /text\n\n",
      ].map(bytesOf),
    run: async (input) => {
      const handle = await openStreams();
      const request = requestOf(input);
      if (request === undefined) return;
      const response = await handle(request);
      if (response.status >= 500) throw new Error(`A request is answered with ${response.status}`);
      await response.arrayBuffer();
      for (const path of ["/json", "/text", "/new", "/fork"]) await readWhole(handle, path);
    },
    heapPerByte: 16_384,
  },
];

async function openStreams(): Promise<DurableStreamsHandler> {
  const handle = durableStreams({
    kv: openMemoryKv({ nowMs: () => 1_800_000_000_000 }),
    authorize: () => true,
    bodyBytesMax: 2_048,
    setTimer: IMPATIENT,
    hasher: NO_HASHER,
    onError: (cause) => {
      throw new Error("The handler failed", { cause });
    },
  });
  for (const [path, type, body] of [
    ["/json", "application/json", "[1,2]"],
    ["/text", "text/plain", "text"],
  ]) {
    await handle(
      new Request(`http://localhost${path}`, {
        method: "PUT",
        headers: { "content-type": type! },
        body: body!,
      }),
    );
  }
  return handle;
}

/** Whatever was sent, what is there can be read to its end, and is what its type says. */
async function readWhole(handle: DurableStreamsHandler, path: string): Promise<void> {
  const response = await handle(new Request(`http://localhost${path}`));
  const text = await response.text();
  if (response.status === 404 || response.status === 410) return;
  if (response.status !== 200 || response.headers.get("stream-up-to-date") !== "true")
    throw new Error(`${path} cannot be read: ${response.status}`);
  if (response.headers.get("content-type")!.toLowerCase().startsWith("application/json")) JSON.parse(text);
}

/** What a platform lets through. */
function requestOf(input: Uint8Array): Request | undefined {
  const [head = "", body = ""] = new TextDecoder().decode(input).split(/\n\n([\s\S]*)/);
  const [first = "", ...lines] = head.split("\n");
  const [method = "", path = ""] = first.split(" ");
  if (!METHODS.includes(method) || !path.startsWith("/")) return undefined;
  try {
    const headers = lines.map((line): [string, string] => {
      const [name = "", value = ""] = line.split(/: ?(.*)/);
      return [name, value];
    });
    const withBody = method === "PUT" || method === "POST";
    return new Request(`http://localhost${path}`, { method, headers, ...(withBody ? { body } : {}) });
  } catch {
    return undefined;
  }
}
