import { serveKvTask } from "@tidemark/kv-conformance/node";
import { openRedisKv } from "../src/index.ts";

await serveKvTask((connection = "", prefix = "") => openRedisKv({ connection, prefix }));
