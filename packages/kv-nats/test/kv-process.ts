import { serveKvTask } from "@tidemark/kv-conformance/node";
import { openNatsKv } from "../src/index.ts";

await serveKvTask((connection = "", bucket = "") => openNatsKv({ connection, bucket }));
