import { type AppOptions, type AppSimulationResult, simulateApp } from "./app-simulation.ts";

/** Which seeds are run. */
export interface AppSearchOptions<
  Signal extends string = string,
  States extends object = object,
> extends AppOptions<Signal, States> {
  /** The first one; the others follow it. @defaultValue 1 */
  readonly from?: number;
  /** How many at most. @defaultValue 100 */
  readonly seeds?: number;
  /** Is given the result of each. */
  readonly onResult?: (result: AppSimulationResult) => void;
}

/** What a search found. */
export interface AppSearchResult {
  /** Seeds that were run. */
  readonly seeds: number;
  /** The first run in which something did not hold; absent if all held. */
  readonly failure?: AppSimulationResult & Required<Pick<AppSimulationResult, "violation">>;
}

/** Runs an application under one seed after the other, and stops at the first in which something does not hold. */
export async function findFailingSeed<Signal extends string = string, States extends object = object>(
  options: AppSearchOptions<Signal, States>,
): Promise<AppSearchResult> {
  const { from = 1, seeds = 100, onResult, ...app } = options;
  for (let seed = from; seed < from + seeds; seed++) {
    const result = await simulateApp({ ...app, seed });
    onResult?.(result);
    const { violation } = result;
    if (violation !== undefined) return { seeds: seed - from + 1, failure: { ...result, violation } };
  }
  return { seeds };
}
