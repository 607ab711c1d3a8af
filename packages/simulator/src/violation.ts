/** What must hold: the invariants of docs/spec/scenarios.md by their letters, and `client` for what a client may rely on. */
export type Invariant = "A" | "B" | "C" | "D" | "E" | "F" | "G" | "H" | "I" | "J" | "client";

/** An invariant that does not hold. */
export class Violation extends Error {
  override readonly name = "Violation";
  readonly invariant: Invariant;
  /** What shows it, as plain data. */
  readonly evidence: unknown;

  constructor(invariant: Invariant, message: string, evidence: unknown) {
    super(`${invariant}: ${message}`);
    this.invariant = invariant;
    this.evidence = evidence;
  }
}
