import { TidemarkError } from "@tidemark/core";

/** Codes of `@tidemark/simulator`. Stable within a major version; messages are not. */
export type SimulationErrorCode =
  /** Nothing is left that could happen, or the limit of virtual time passed, and what was waited for has not come. */
  "SIMULATION_STUCK";

/** An expected failure of `@tidemark/simulator`. */
export class SimulationError extends TidemarkError<SimulationErrorCode> {
  override readonly name = "SimulationError";
}
