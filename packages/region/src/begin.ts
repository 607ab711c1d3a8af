import { SessionError } from "@tidemark/session";
import type { SessionErrorCode } from "@tidemark/session";
import type { WriteResult } from "./region.ts";

/** Why a session does not begin: what `start`, `fork` and `merge` throw. */
export function beginError(id: string, { reason, message }: WriteResult): SessionError {
  switch (reason) {
    case "OPERATION_CONFLICT":
      return new SessionError(
        "OPERATION_CONFLICT",
        `Cannot start session ${id}: its operationId was used for another request`,
      );
    case "SESSION_EXISTS":
    case "SESSION_CLOSED":
      // A closed one is known as well: its id is taken.
      return new SessionError(
        "SESSION_EXISTS",
        `Cannot start session ${id}: it is known here; take it with sessions.get()`,
      );
    default:
      return new SessionError(reason as SessionErrorCode, message ?? `Cannot start session ${id}`);
  }
}
