import type { ListedMutant, Mutant } from "./mutant.ts";
import { BROKER_MUTANTS } from "./broker-mutants.ts";
import { DELIVERY_MUTANTS } from "./delivery-mutants.ts";
import { LOG_MUTANTS } from "./log-mutants.ts";
import { SESSION_MUTANTS } from "./session-mutants.ts";
import { VALUE_MUTANTS } from "./value-mutants.ts";

/** Name of the environment variable that says which mutant the test loader plants. */
export const MUTANT_VARIABLE = "TIDEMARK_MUTANT";

/** Name of the environment variable with options for Node that plant it into processes which tests start. */
export const PROCESS_OPTIONS_VARIABLE = "TIDEMARK_PROCESS_OPTIONS";

/** Every mutant, by scenario. */
export const MUTANTS: readonly ListedMutant[] = listed([
  ...LOG_MUTANTS,
  ...DELIVERY_MUTANTS,
  ...BROKER_MUTANTS,
  ...SESSION_MUTANTS,
  ...VALUE_MUTANTS,
]);

/**
 * The mutant the environment asks for, if it asks for one.
 *
 * @throws Error if no mutant has that name.
 */
export function wantedMutant(environment: NodeJS.ProcessEnv): ListedMutant | undefined {
  const id = environment[MUTANT_VARIABLE];
  if (id === undefined || id === "") return undefined;
  const found = MUTANTS.find((one) => one.id === id);
  if (found === undefined) throw new Error(`No such mutant: ${MUTANT_VARIABLE}=${id}`);
  return found;
}

function listed(mutants: readonly Mutant[]): ListedMutant[] {
  const counts = new Map<number, number>();
  return mutants
    .toSorted((left, right) => left.scenario - right.scenario)
    .map((mutant) => {
      const count = counts.get(mutant.scenario) ?? 0;
      counts.set(mutant.scenario, count + 1);
      const letter = count === 0 ? "" : String.fromCodePoint(0x61 + count);
      return { ...mutant, id: `${mutant.scenario}${letter}` };
    });
}
