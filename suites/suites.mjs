/**
 * Every suite that `npm run conformance` runs. A file `FOLDER/BACKEND.suite.mjs` is one row of the table.
 *
 * - `name`: the name to run it alone by.
 * - `checks`: what judges, for the table.
 * - `package`: the package that is judged; its README carries the rows, if it has the markers for them.
 * - `use`: the copy of a module that suite and package both get, where not the installed one.
 * - `ours`: it is a suite of this repository, which `npm test` runs as well; `--others` leaves it out.
 *
 * @type {{ name: string, folder: string, package: string, checks: string, use?: Record<string, string>, ours?: boolean }[]}
 */
export const SUITES = [
  {
    name: "langgraph",
    folder: "langgraph",
    package: "langgraph",
    checks: "`@langchain/langgraph-checkpoint-validation` 1.1.1, `langgraph-checkpoint` 1.2.2",
    use: { "@langchain/langgraph-checkpoint": "node_modules/@langchain/langgraph-checkpoint/dist/index.js" },
  },
  {
    name: "langgraph-oldest",
    folder: "langgraph",
    package: "langgraph",
    checks: "`@langchain/langgraph-checkpoint-validation` 1.1.1, `langgraph-checkpoint` 1.1.5",
    use: { "@langchain/langgraph-checkpoint": "node_modules/langgraph-checkpoint-oldest/dist/index.js" },
  },
  {
    name: "express-session",
    folder: "express-session",
    package: "express-session",
    checks: "`MemoryStore` of `express-session` 1.19.0, `connect-redis` 9.0.0",
    use: { "express-session": "node_modules/express-session/index.js" },
  },
  {
    name: "durable-streams",
    folder: "durable-streams",
    package: "live-http",
    checks: "`@durable-streams/server-conformance-tests` 0.3.6",
  },
  {
    name: "openai-agents",
    folder: "openai-agents",
    package: "openai-agents",
    checks: "`MemorySession` and the runner of `@openai/agents-core` 0.20.0",
    use: {
      "@openai/agents-core": "node_modules/@openai/agents-core/dist/index.mjs",
      "@openai/agents-core/testing": "node_modules/@openai/agents-core/dist/testing/index.mjs",
    },
  },
  { name: "kv", folder: "kv", package: "kv", checks: "`@tidemark/kv-conformance`", ours: true },
  {
    name: "kv-lmdb",
    folder: "kv-lmdb",
    package: "kv-lmdb",
    checks: "`@tidemark/kv-conformance`",
    ours: true,
  },
  {
    name: "kv-redis",
    folder: "kv-redis",
    package: "kv-redis",
    checks: "`@tidemark/kv-conformance`",
    ours: true,
  },
  {
    name: "kv-nats",
    folder: "kv-nats",
    package: "kv-nats",
    checks: "`@tidemark/kv-conformance`",
    ours: true,
  },
  { name: "live", folder: "live", package: "live", checks: "`@tidemark/live-conformance`", ours: true },
  {
    name: "live-redis",
    folder: "live-redis",
    package: "live-redis",
    checks: "`@tidemark/live-conformance`",
    ours: true,
  },
  {
    name: "live-nats",
    folder: "live-nats",
    package: "live-nats",
    checks: "`@tidemark/live-conformance`",
    ours: true,
  },
];
