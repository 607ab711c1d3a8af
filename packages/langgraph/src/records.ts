import type { Hasher } from "@tidemark/core";
import { SealedRecords } from "@tidemark/session-store";

/** What a record is of. */
export type RecordKind =
  | "langgraph-checkpoint"
  | "langgraph-directory"
  | "langgraph-item"
  | "langgraph-namespace"
  | "langgraph-part"
  | "langgraph-thread"
  | "langgraph-writes";

/** Records of this package. */
export type Records = SealedRecords<RecordKind>;

/** Seals and opens the records of this package. */
export function openRecords(hasher: Hasher): Records {
  return new SealedRecords(hasher, 1);
}
