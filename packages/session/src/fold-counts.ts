/** What a fold counts as it goes. */
export interface FoldCounts {
  /** Different effects folded. */
  effects: number;
  /** Operations that changed nothing because they, or their effect, were known. */
  duplicates: number;
  /** Items hidden only because an unhide is not stable. */
  withheld: number;
  /** Unhides that are not stable, or wait for a member to know their kind. */
  unhidesPending: number;
  /** Operations kept for a version that can fold them. */
  unknown: number;
  /** Records that are no operation of this version. */
  malformed: number;
  /** Numbers that two operations of one lane claim. */
  forks: number;
  /** OperationIds used for two requests, and starts beyond the one that counts. */
  conflicts: number;
  /** Operations above the stability frontier. */
  unstable: number;
}

/** The numbers of a fold. */
export interface FoldStats extends Readonly<FoldCounts> {
  readonly sessions: number;
  /** Sessions that were purged: a tombstone each. */
  readonly purged: number;
  readonly users: number;
}

/** All zero. */
export function noCounts(): FoldCounts {
  return {
    effects: 0,
    duplicates: 0,
    withheld: 0,
    unhidesPending: 0,
    unknown: 0,
    malformed: 0,
    forks: 0,
    conflicts: 0,
    unstable: 0,
  };
}
