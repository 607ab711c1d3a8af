import { SessionStoreError } from "../src/errors.ts";

/** The refusal that a call ends in; fails if it ends in anything else. */
export function refusal(call: () => unknown): SessionStoreError {
  try {
    call();
  } catch (error) {
    if (error instanceof SessionStoreError) return error;
    throw error;
  }
  throw new Error("Nothing was refused");
}

/** The refusal that a promise ends in; fails if it ends in anything else. */
export async function refused(call: Promise<unknown>): Promise<SessionStoreError> {
  try {
    await call;
  } catch (error) {
    if (error instanceof SessionStoreError) return error;
    throw error;
  }
  throw new Error("Nothing was refused");
}
