import type { Subscription } from "@tidemark/transport";
import { Random, SimNetwork, Trace, VirtualTime } from "../src/index.ts";
import type { LifeLike, SimNetworkOptions } from "../src/index.ts";

/** A life that ends when it is told to. */
export class StubLife implements LifeLike {
  alive: boolean = true;
  readonly calls: string[] = [];

  call(name: string): void {
    this.calls.push(name);
  }

  settle(): void {}
}

/** A network under one seed and the time that passes in it. */
export function openNet(seed: number, options: Partial<SimNetworkOptions> = {}) {
  const random = new Random(seed);
  const time = new VirtualTime(random.fork("time"));
  const trace = new Trace(() => time.now());
  const network = new SimNetwork({ timers: time, random, trace, ...options });
  const join = (name: string, life: LifeLike = new StubLife()) => network.transport(name, life);
  return { time, trace, network, join, broker: network.broker };
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

export function range(count: number, first: number = 0): number[] {
  return Array.from({ length: count }, (_, index) => first + index);
}
