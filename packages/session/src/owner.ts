import type { SessionEntry } from "./session-entry.ts";

/** Who operations under one user's keys belong to, known by pseudonym: what erasing the user takes away. */
export class Owner {
  /** Hexadecimal. */
  readonly pseudonym: string;
  /** Sessions that hold something of this owner's. */
  readonly sessions: Set<SessionEntry> = new Set();
  /** The user's name, once an operation has told it. */
  user: string | undefined;

  constructor(pseudonym: string) {
    this.pseudonym = pseudonym;
  }
}
