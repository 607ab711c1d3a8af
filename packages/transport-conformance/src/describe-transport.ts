import { describe, test } from "vitest";
import { missingRequirements, runTransportCheck } from "./check.ts";
import type { TransportConformanceOptions } from "./check.ts";
import { TRANSPORT_CHECKS } from "./transport-checks.ts";

/**
 * Declares one vitest test a check. What a transport does not claim is skipped, and says what was missing.
 *
 * The whole test file of an adapter is this call and what is special to it.
 */
export function describeTransport(name: string, options: TransportConformanceOptions): void {
  const { deadlineMs = 5_000 } = options;
  describe(`${name} is a transport`, () => {
    for (const check of TRANSPORT_CHECKS) {
      const missing = missingRequirements(check, options);
      const title = missing.length === 0 ? check.name : `${check.name} (needs ${missing.join(", ")})`;
      // Above the sum of what a check waits for, so that the check names what hung.
      test.skipIf(missing.length > 0)(title, { timeout: deadlineMs * 12 }, () =>
        runTransportCheck(check, options),
      );
    }
  });
}
