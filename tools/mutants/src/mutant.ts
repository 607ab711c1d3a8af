/** A test by its vitest project, its file and what its name contains. */
export interface NamedTest {
  readonly project: string;
  /** Path from the root of the repository. */
  readonly file: string;
  /** A part of its name as the file has it, free of what a template fills in, that no other test of the file has. */
  readonly name: string;
}

/** One place where a source is changed. */
export interface Edit {
  /** Path from the root of the repository. */
  readonly file: string;
  /** Text that the file contains exactly once. */
  readonly pattern: string;
  readonly replacement: string;
}

/** A failure planted into product code: the tests of its scenario must notice it. */
export interface Mutant {
  /** Number of the scenario whose failure it is: docs/spec/scenarios.md. */
  readonly scenario: number;
  /** What the changed code does wrong, in a few words. */
  readonly name: string;
  /** Several where one promise is guarded in more than one place. */
  readonly edits: readonly Edit[];
  readonly tests: readonly NamedTest[];
}

/** A mutant and the name it is called by: the number of its scenario, with a letter from the second one on. */
export interface ListedMutant extends Mutant {
  readonly id: string;
}
