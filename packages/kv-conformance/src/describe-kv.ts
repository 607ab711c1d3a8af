import { describe, test } from "vitest";
import { type KvConformanceOptions, missingRequirements, runKvCheck } from "./check.ts";
import { KV_CHECKS } from "./kv-checks.ts";

/**
 * Declares one vitest test a check. What a store does not claim is skipped, and says what was missing.
 *
 * The whole test file of a backend is this call and what is special to it.
 */
export function describeKv(name: string, options: KvConformanceOptions): void {
  const { deadlineMs = 5_000 } = options;
  describe(`${name} is a key-value store`, () => {
    for (const check of KV_CHECKS) {
      const missing = missingRequirements(check, options);
      const title = missing.length === 0 ? check.name : `${check.name} (needs ${missing.join(", ")})`;
      // Above the sum of what a check waits for, so that the check names what hung.
      test.skipIf(missing.length > 0)(title, { timeout: deadlineMs * 12 }, () => runKvCheck(check, options));
    }
  });
}
