// A process of its own that appends to a stream as a producer: its arguments say where, as whom, from which sequence.
import { writeSync } from "node:fs";
import type { Kv } from "@tidemark/kv";
import { openLmdbKv } from "@tidemark/kv-lmdb";
import { openRedisKv } from "@tidemark/kv-redis";
import { durableStreams } from "../../src/durable-streams/index.ts";
import { producer, send, TEXT } from "./support.ts";

const [store, id, from, to] = process.argv.slice(2) as [string, string, string, string];
const kv: Kv = store.startsWith("redis:")
  ? await openRedisKv({ connection: store })
  : await openLmdbKv({ dir: store });
const handle = durableStreams({ kv, authorize: () => true });
await send(handle, "PUT", "/shared", { headers: TEXT });
for (let sequence = Number(from); sequence < Number(to); sequence++) {
  const headers = { ...TEXT, ...producer(id, 0, sequence) };
  const response = await send(handle, "POST", "/shared", { headers, body: `${id}${sequence}\n` });
  // Straight to the descriptor: a line that is said is with the reader, however this process ends.
  writeSync(1, `${response.status} ${sequence} ${response.headers.get("stream-next-offset")}\n`);
}
await kv.close();
