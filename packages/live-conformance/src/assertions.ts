import { LiveError, type LiveErrorCode } from "@tidemark/live";

/** A promise of the contract that a store broke. */
export class LiveCheckError extends Error {
  override readonly name = "LiveCheckError";
}

/** @throws {@link LiveCheckError} unless the condition holds. */
export function expectThat(condition: boolean, message: string): asserts condition {
  if (!condition) throw new LiveCheckError(message);
}

/** Checks two JSON values, or lists of them. */
export function expectSame(actual: unknown, expected: unknown, what: string): void {
  const [found, wanted] = [canonical(actual), canonical(expected)];
  expectThat(found === wanted, `${what}: expected ${wanted} and got ${found}`);
}

/** Rejects if a promise has not settled in time, so that a store that hangs fails and is named. */
export async function within<T>(deadlineMs: number, promise: Promise<T>, what: string): Promise<T> {
  let timer: ReturnType<typeof globalThis.setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    const hangs = (): void => reject(new LiveCheckError(`${what}: nothing happened in ${deadlineMs} ms`));
    timer = globalThis.setTimeout(hangs, deadlineMs);
  });
  return Promise.race([promise, late]).finally(() => globalThis.clearTimeout(timer));
}

/** What a call rejects with. A call that throws instead breaks the contract as well. */
export async function rejectionOf(call: () => Promise<unknown>, what: string): Promise<unknown> {
  let calling: Promise<unknown>;
  try {
    calling = call();
  } catch (cause) {
    throw new LiveCheckError(`${what}: threw instead of rejecting`, { cause });
  }
  const [outcome] = await Promise.allSettled([calling]);
  if (outcome.status === "fulfilled") throw new LiveCheckError(`${what}: resolved instead of rejecting`);
  return outcome.reason;
}

/** Checks that a call rejects with this code, and returns the error. */
export async function expectCode(
  code: LiveErrorCode,
  call: () => Promise<unknown>,
  what: string,
): Promise<LiveError> {
  const error = await rejectionOf(call, what);
  if (error instanceof LiveError && error.code === code) return error;
  throw new LiveCheckError(`${what}: expected ${code} and got ${String(error)}`, { cause: error });
}

/** JSON with the names of objects in order. */
function canonical(value: unknown): string {
  return (
    JSON.stringify(value, (_, each: unknown) =>
      typeof each === "object" && each !== null && !Array.isArray(each) && !("toJSON" in each)
        ? Object.fromEntries(Object.entries(each).toSorted(([a], [b]) => (a < b ? -1 : 1)))
        : each,
    ) ?? "undefined"
  );
}
