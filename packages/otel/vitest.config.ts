import { defineProject } from "vitest/config";
import shared from "../../vitest.shared.ts";

// Without "module": what @opentelemetry/api has under that condition is for bundlers, Node cannot load it.
const conditions = ["@tidemark/source", "node", "development|production"];

export default defineProject({ ssr: { resolve: { conditions } }, test: { ...shared.test, name: "otel" } });
