/** A callback of Node: an error, or what was asked for. */
export type Callback<Result> = (error: unknown, result?: Result) => void;

/**
 * Tells a callback how a call ended, once, on a stack of its own: what the callback throws is its own failure, as it is
 * with the stores that call back later, and not the call's. With a callback the promise tells no error.
 */
export async function deliver<Result>(
  call: Promise<Result>,
  callback: Callback<Result> | undefined,
): Promise<Result | undefined> {
  if (callback === undefined) return call;
  try {
    const result = await call;
    queueMicrotask(() => callback(null, result));
    return result;
  } catch (error) {
    queueMicrotask(() => callback(error));
    return undefined;
  }
}
