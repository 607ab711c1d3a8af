import { openMemoryKv } from "../../packages/kv/src/index.ts";
import { validateSaver } from "./validate-saver.mjs";

const kv = openMemoryKv();
validateSaver({ kv: () => kv, stop: () => kv.close() });
