import type { Delivery, SubscribeOptions, Subscription, Transport } from "@tidemark/transport";
import { expectBytes, expectThat, rejectionOf, sameBytes, within } from "./assertions.ts";
import type { TransportCheckContext } from "./check.ts";

/** Reads one subscription, each step with a deadline. */
export class Reader {
  readonly subscription: Subscription;
  readonly #iterator: AsyncIterator<Delivery>;
  readonly #deadlineMs: number;

  constructor(subscription: Subscription, deadlineMs: number) {
    this.subscription = subscription;
    this.#deadlineMs = deadlineMs;
    this.#iterator = subscription[Symbol.asyncIterator]();
  }

  /** The next frame and its position. */
  async next(what: string): Promise<Delivery> {
    const result = await within(this.#deadlineMs, this.#iterator.next(), `${what}: waiting for a frame`);
    if (result.done === true) expectThat(false, `${what}: the subscription ended`);
    return result.value as Delivery;
  }

  /** Checks what the next frame is. Only for the first of a subject: a medium may repeat a frame. */
  async expect(frame: Uint8Array, what: string): Promise<void> {
    expectBytes((await this.next(what)).frame, frame, what);
  }

  /** Reads up to the marker, and returns what came before it. */
  async until(marker: Uint8Array, what: string): Promise<Uint8Array[]> {
    const before: Uint8Array[] = [];
    for (;;) {
      const { frame } = await this.next(what);
      if (sameBytes(frame, marker)) return before;
      before.push(frame);
    }
  }

  /** Begins to wait, for a check that ends the waiting. */
  wait(): Promise<IteratorResult<Delivery>> {
    const waiting = this.#iterator.next();
    // Handled by whoever awaits it: a rejection before that is no crash.
    waiting.catch(() => undefined);
    return waiting;
  }

  /** Checks that the iteration is over, without an error. */
  async expectEnd(what: string, waiting: Promise<IteratorResult<Delivery>> = this.wait()): Promise<void> {
    const result = await within(this.#deadlineMs, waiting, `${what}: waiting for the end`);
    expectThat(result.done === true, `${what}: another frame came instead of the end`);
  }

  /** Checks that the iteration rejects with exactly this. */
  async expectRejection(reason: unknown, waiting: Promise<unknown>, what: string): Promise<void> {
    const error = await rejectionOf(this.#deadlineMs, () => waiting, what);
    expectThat(error === reason, `${what}: rejected with something else than the signal's reason`);
  }
}

/** Subscribes, with a deadline. */
export async function read(
  context: TransportCheckContext,
  transport: Transport,
  subject: string,
  options?: SubscribeOptions,
): Promise<Reader> {
  const { deadlineMs } = context;
  const opening = transport.subscribe(subject, options);
  return new Reader(await within(deadlineMs, opening, `subscribe(${subject})`), deadlineMs);
}

/** Publishes, with a deadline. */
export async function send(
  context: TransportCheckContext,
  transport: Transport,
  subject: string,
  frame: Uint8Array,
  sequence?: { readonly epoch: number; readonly last: number },
): Promise<void> {
  const publishing = transport.publish(subject, frame, sequence === undefined ? {} : { sequence });
  await within(context.deadlineMs, publishing, `publish(${subject})`);
}
