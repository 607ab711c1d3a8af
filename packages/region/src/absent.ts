import { SessionError } from "@tidemark/session";
import type { SessionFold } from "@tidemark/session";

/** Why there is no session of an id here: it was purged, or nothing of it is known. */
export function absent(fold: SessionFold, id: string, doing: string): SessionError {
  return fold.purged(id)
    ? new SessionError("SESSION_PURGED", `Cannot ${doing}: it was purged`)
    : new SessionError("SESSION_UNKNOWN", `Cannot ${doing}: nothing of it is known here`);
}
