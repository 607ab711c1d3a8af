import { KvError, type KvErrorCode } from "@tidemark/kv";

/** A promise of the contract that a store broke. */
export class KvCheckError extends Error {
  override readonly name = "KvCheckError";
}

/** @throws {@link KvCheckError} unless the condition holds. */
export function expectThat(condition: boolean, message: string): void {
  if (!condition) throw new KvCheckError(message);
}

/** Checks a value that was read against what was written; `undefined` for none. */
export function expectValue(
  actual: Uint8Array | undefined,
  expected: Uint8Array | undefined,
  what: string,
): void {
  expectThat(actual === undefined || actual instanceof Uint8Array, `${what}: expected a Uint8Array`);
  expectThat(sameValue(actual, expected), `${what}: expected ${show(expected)} and got ${show(actual)}`);
}

/** Checks lists of values, one by one. */
export function expectValues(
  actual: readonly (Uint8Array | undefined)[],
  expected: readonly (Uint8Array | undefined)[],
  what: string,
): void {
  expectThat(
    actual.length === expected.length,
    `${what}: expected ${expected.length} and got ${actual.length}`,
  );
  actual.forEach((value, index) => expectValue(value, expected[index], `${what} [${index}]`));
}

/** Whether both are the same bytes, or both nothing. */
export function sameValue(left: Uint8Array | undefined, right: Uint8Array | undefined): boolean {
  if (left === undefined || right === undefined) return left === right;
  return left.length === right.length && left.every((byte, index) => byte === right[index]);
}

/** Bytes as hexadecimal text; of many, how many there are and the first. */
export function show(bytes: Uint8Array | undefined): string {
  if (bytes === undefined) return "nothing";
  if (bytes.length > 32) return `${bytes.length} bytes ${show(bytes.subarray(0, 32))}...`;
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Bytes of a short text. */
export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** A number as 4 bytes that order as numbers do. */
export function numberBytes(value: number): Uint8Array {
  const encoded = new Uint8Array(4);
  new DataView(encoded.buffer).setUint32(0, value);
  return encoded;
}

/** The number of {@link numberBytes}; 0 for nothing. */
export function numberOf(value: Uint8Array | undefined): number {
  if (value === undefined) return 0;
  expectThat(value.length === 4, `expected the 4 bytes of a number and got ${show(value)}`);
  return new DataView(value.buffer, value.byteOffset).getUint32(0);
}

/** Rejects if a promise has not settled in time, so that a store that hangs fails and is named. */
export async function within<T>(deadlineMs: number, promise: Promise<T>, what: string): Promise<T> {
  let timer: ReturnType<typeof globalThis.setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    const hangs = (): void => reject(new KvCheckError(`${what}: nothing happened in ${deadlineMs} ms`));
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
    throw new KvCheckError(`${what}: threw instead of rejecting`, { cause });
  }
  const [outcome] = await Promise.allSettled([calling]);
  if (outcome.status === "fulfilled") throw new KvCheckError(`${what}: resolved instead of rejecting`);
  return outcome.reason;
}

/** Checks that a call rejects with this code, and returns the error. */
export async function expectCode(
  code: KvErrorCode,
  call: () => Promise<unknown>,
  what: string,
): Promise<KvError> {
  const error = await rejectionOf(call, what);
  if (error instanceof KvError && error.code === code) return error;
  throw new KvCheckError(`${what}: expected ${code} and got ${String(error)}`, { cause: error });
}

/** Checks that a call refuses an argument: nobody should branch on a bug, so there is no code. */
export async function expectRefusal(
  kind: "RangeError" | "TypeError",
  call: () => Promise<unknown>,
  what: string,
): Promise<void> {
  const error = await rejectionOf(call, what);
  if (error instanceof Error && error.name === kind) return;
  throw new KvCheckError(`${what}: expected a ${kind} and got ${String(error)}`, { cause: error });
}
