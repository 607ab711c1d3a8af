import type { Delivery, Subscription, Transport } from "@tidemark/transport";
import { expect } from "vitest";

/** Rejects if it has not settled in time. */
export async function within<T>(promise: Promise<T>, what: string, deadlineMs: number = 15_000): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not in ${deadlineMs} ms`)), deadlineMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits for a condition that something else brings about. */
export async function eventually(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`${what}: not in 15 s`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Collects what a subscription brings, as numbers. */
export class Heard {
  readonly numbers: number[] = [];
  readonly positions: (string | undefined)[] = [];

  constructor(subscription: Subscription) {
    void (async () => {
      for await (const { frame, position } of subscription as AsyncIterable<Delivery>) {
        this.numbers.push(numberOf(frame));
        this.positions.push(position);
      }
    })();
  }

  async until(number: number): Promise<void> {
    await eventually(
      () => this.numbers.includes(number),
      `hearing ${number}, heard ${this.numbers.join(" ")}`,
    );
  }

  /** In the order they were published in; repeats are allowed. */
  expectAll(first: number, last: number): void {
    const once = [...new Set(this.numbers)].filter((number) => number >= first && number <= last);
    expect(once).toEqual(Array.from({ length: last - first + 1 }, (_, index) => first + index));
  }
}

export function frameOf(number: number, bytes: number = 4): Uint8Array {
  const frame = new Uint8Array(Math.max(4, bytes));
  new DataView(frame.buffer).setUint32(0, number, true);
  return frame;
}

export function numberOf(frame: Uint8Array): number {
  return new DataView(frame.buffer, frame.byteOffset).getUint32(0, true);
}

/** Publishes numbered frames as a log does: one after the other, again until each has been taken. */
export async function ship(
  transport: Transport,
  subject: string,
  first: number,
  last: number,
): Promise<void> {
  for (let number = first; number <= last; number++) {
    await transport.publish(subject, frameOf(number), { sequence: { epoch: 7, last: number } });
  }
}
