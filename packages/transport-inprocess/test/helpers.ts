import type { Subscription } from "@tidemark/transport";

/** A later turn of the event loop: everything on microtasks has run. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Collects what a subscription gives from now on, as numbers of two bytes. */
export function collect(subscription: Subscription): number[] {
  const numbers: number[] = [];
  void (async () => {
    for await (const { frame } of subscription) numbers.push(frame[0]! * 256 + frame[1]!);
  })();
  return numbers;
}

/** A number of two bytes. */
export function numbered(index: number): Uint8Array {
  return Uint8Array.of(index >> 8, index & 255);
}

export function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}
