import { describe, test } from "vitest";
import { type LiveConformanceOptions, missingHooks, runLiveCheck } from "./check.ts";
import { LIVE_CHECKS } from "./live-checks.ts";

/**
 * Declares one vitest test a check. What a store's tests cannot do is skipped, and says what was missing.
 *
 * The whole test file of a store is this call and what is special to it.
 */
export function describeLiveStore(name: string, options: LiveConformanceOptions): void {
  const { deadlineMs = 5_000 } = options;
  describe(`${name} is a store for the replay of live events`, () => {
    for (const check of LIVE_CHECKS) {
      const missing = missingHooks(check, options);
      const title = missing.length === 0 ? check.name : `${check.name} (needs ${missing.join(", ")})`;
      // Above the sum of what a check waits for, so that the check names what hung.
      test.skipIf(missing.length > 0)(title, { timeout: deadlineMs * 12 }, () =>
        runLiveCheck(check, options),
      );
    }
  });
}
