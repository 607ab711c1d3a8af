export { KvCheckError } from "./assertions.ts";
export {
  type KvCheckContext,
  type KvCheckOfStore,
  type KvConformanceOptions,
  type KvFixture,
  type KvHook,
  type KvRequirement,
  type KvWorker,
  missingRequirements,
  runKvCheck,
} from "./check.ts";
export * from "./describe-kv.ts";
export * from "./interrupting-kv.ts";
export * from "./kv-checks.ts";
export * from "./replaced-kv.ts";
export { type KvTask, runKvTask } from "./kv-task.ts";
