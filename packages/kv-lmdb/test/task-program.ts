// A process that works at a task of the conformance suite.
import { serveKvTask } from "@tidemark/kv-conformance/node";
import { openLmdbKv } from "../src/index.ts";

await serveKvTask((dir) => openLmdbKv({ dir }));
