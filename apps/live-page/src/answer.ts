/** What a page shows of a session: the answer that began last. */
export interface AnswerView {
  /** Empty before the first. */
  readonly turn: string;
  readonly text: string;
}

/** A piece of an answer as it is written. */
export interface AnswerPiece {
  readonly turn: string;
  /** Characters of the answer before it: a page knows by that what it has already. */
  readonly position: number;
  readonly text: string;
}
