import { findServer } from "@tidemark/servers";
import { expect, test } from "vitest";
import { BROKERS } from "../src/broker.ts";
import { chaos } from "../src/chaos.ts";

const CYCLES = Number(process.env["TIDEMARK_CHAOS_CYCLES"] ?? 10);
/** For so many cycles, on a machine that does ten other things. */
const GUARD_MS = { cycles: 20, ms: 5 * 60_000 };

for (const broker of BROKERS) {
  const found = await findServer(broker).then(
    () => true,
    (error: unknown) => {
      // In CI a server that cannot be had is a failure, told by the test itself.
      if (process.env["CI"] !== undefined) return true;
      process.stderr.write(`${String(error)}\n`);
      return false;
    },
  );
  test.skipIf(!found)(
    `scenario 41: ${CYCLES} disasters over ${broker}, processes and broker killed in turn: nothing that clients saw or disks hold breaks an invariant`,
    async () => {
      const result = await chaos({ broker, cycles: CYCLES, seed: 1 });
      expect(result.violations.map(({ message, evidence }) => ({ message, evidence }))).toEqual([]);
      expect(result.acknowledged).toBeGreaterThan(CYCLES * 20);
      expect(result.roams).toBeGreaterThan(CYCLES);
    },
    Math.ceil(CYCLES / GUARD_MS.cycles) * GUARD_MS.ms,
  );
}
