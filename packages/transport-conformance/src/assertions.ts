import { TransportError } from "@tidemark/transport";
import type { TransportErrorCode } from "@tidemark/transport";

/** A promise of the contract that a transport broke. */
export class TransportCheckError extends Error {
  override readonly name = "TransportCheckError";
}

/** @throws {@link TransportCheckError} unless the condition holds. */
export function expectThat(condition: boolean, message: string): void {
  if (!condition) throw new TransportCheckError(message);
}

/** @throws {@link TransportCheckError} unless both hold the same bytes. */
export function expectBytes(actual: Uint8Array, expected: Uint8Array, what: string): void {
  expectThat(actual instanceof Uint8Array, `${what}: expected a Uint8Array`);
  expectThat(sameBytes(actual, expected), `${what}: expected ${show(expected)} and got ${show(actual)}`);
}

export function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, index) => byte === right[index]);
}

/** Bytes of a short text. */
export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Rejects if a promise has not settled in time, so that a transport that hangs fails and is named. */
export async function within<T>(deadlineMs: number, promise: Promise<T>, what: string): Promise<T> {
  let cancel = (): void => undefined;
  const late = new Promise<never>((_, reject) => {
    const timer = globalThis.setTimeout(
      () => reject(new TransportCheckError(`${what}: nothing happened in ${deadlineMs} ms`)),
      deadlineMs,
    );
    cancel = () => globalThis.clearTimeout(timer);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    cancel();
  }
}

/** What a call rejects with. A call that throws instead of rejecting breaks the contract as well. */
export async function rejectionOf(
  deadlineMs: number,
  call: () => Promise<unknown>,
  what: string,
): Promise<unknown> {
  let promise: Promise<unknown>;
  try {
    promise = call();
  } catch (error) {
    throw new TransportCheckError(`${what}: threw instead of rejecting`, { cause: error });
  }
  const rejection = promise.then(
    () => {
      throw new TransportCheckError(`${what}: resolved instead of rejecting`);
    },
    (error: unknown) => ({ error }),
  );
  return (await within(deadlineMs, rejection, what)).error;
}

/** Checks that a call rejects with one of these codes. */
export async function expectCode(
  deadlineMs: number,
  codes: TransportErrorCode | readonly TransportErrorCode[],
  call: () => Promise<unknown>,
  what: string,
): Promise<void> {
  const error = await rejectionOf(deadlineMs, call, what);
  if (!(error instanceof TransportError)) {
    throw new TransportCheckError(`${what}: expected a TransportError and got ${String(error)}`, {
      cause: error,
    });
  }
  expectThat([codes].flat().includes(error.code), `${what}: expected ${String(codes)} and got ${error.code}`);
}

/** Waits for a promise to settle either way. */
export async function settled(deadlineMs: number, promise: Promise<unknown>, what: string): Promise<void> {
  const done = promise.then(
    () => undefined,
    () => undefined,
  );
  await within(deadlineMs, done, what);
}

function show(frame: Uint8Array): string {
  const head = Array.from(frame.subarray(0, 32), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
  return `${frame.length} bytes [${head}${frame.length > 32 ? " …" : ""}]`;
}
