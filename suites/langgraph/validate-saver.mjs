import { deltaChannelHistoryTests, validate } from "@langchain/langgraph-checkpoint-validation";
import { TidemarkSaver } from "../../packages/langgraph/src/index.ts";

/** All checks of the vendor, those of `getDeltaChannelHistory` too, which are not among the ones run by default. */
export function validateSaver(backend) {
  let count = 0;
  const initializer = {
    checkpointerName: "TidemarkSaver",
    beforeAll: () => backend.start?.(),
    afterAll: () => backend.stop?.(),
    // Savers under names of their own do not see each other's threads.
    createCheckpointer: async () => new TidemarkSaver({ kv: await backend.kv(), prefix: `check-${count++}` }),
  };
  validate(initializer);
  deltaChannelHistoryTests(initializer);
}
