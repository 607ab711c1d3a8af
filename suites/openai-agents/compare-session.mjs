import { MemorySession } from "@openai/agents-core";
import { SESSION_CHECKS } from "../../packages/openai-agents/test/session-contract.ts";
import { TidemarkSessions } from "../../packages/openai-agents/src/index.ts";

/** Every check gives what the vendor's own session gives, runs of its runner among them. */
export function compareSession(backend) {
  let kv;
  let count = 0;
  describe("", () => {
    beforeAll(async () => {
      kv = await backend.start();
    });
    afterAll(() => backend.stop());
    for (const { name, run } of SESSION_CHECKS) {
      it(name, async () => {
        const session = new TidemarkSessions({ kv, prefix: `check-${count++}` }).session("a");
        expect(await run(session)).toEqual(await run(new MemorySession({ sessionId: "a" })));
      });
    }
  });
}
