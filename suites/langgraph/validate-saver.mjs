import { deltaChannelHistoryTests, validate } from "@langchain/langgraph-checkpoint-validation";
import { TidemarkSaver } from "../../packages/langgraph/src/index.ts";

/** All checks of the vendor, those of `getDeltaChannelHistory` too, which are not among the ones run by default. */
export function validateSaver(backend) {
  let kv;
  let count = 0;
  const initializer = {
    checkpointerName: "TidemarkSaver",
    // Savers under names of their own do not see each other's threads.
    createCheckpointer: () => new TidemarkSaver({ kv, prefix: `check-${count++}` }),
  };
  describe("", () => {
    beforeAll(async () => {
      kv = await backend.start();
    });
    afterAll(() => backend.stop());
    validate(initializer);
    deltaChannelHistoryTests(initializer);
  });
}
