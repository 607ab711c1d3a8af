/** Fresh random bytes of the platform. */
export function randomBytes(length: number): Uint8Array {
  return globalThis.crypto.getRandomValues(new Uint8Array(length));
}

/** @throws `RangeError` unless the prefix can begin names of partitions that no other prefix begins. */
export function guardPrefix(prefix: string): void {
  if (!/^[a-z0-9-]{1,64}$/.test(prefix)) {
    throw new RangeError(`prefix must have 1 to 64 of a-z, 0-9 and "-": ${JSON.stringify(prefix)}`);
  }
}
