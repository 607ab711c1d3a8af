import { expect, test } from "vitest";
import { TwoIterators } from "../src/two-iterators.ts";

/** Gives what it is told to give. */
class Fed implements AsyncIterator<string, undefined> {
  asked = 0;
  #give: (step: IteratorResult<string, undefined>) => void = () => undefined;

  next(): Promise<IteratorResult<string, undefined>> {
    this.asked += 1;
    return new Promise((resolve) => {
      this.#give = resolve;
    });
  }

  give(value: string): void {
    this.#give({ done: false, value });
  }
}

test("LIV-8 TwoIterators gives steps as they come, asks for one at a time, and drops those of one that was replaced", async () => {
  const [one, other, another] = [new Fed(), new Fed(), new Fed()];
  const both = new TwoIterators<string, string>(one, other);
  const first = both.next();
  other.give("a");
  expect(await first).toEqual({ from: "other", step: { done: false, value: "a" } });
  expect([one.asked, other.asked]).toEqual([1, 1]);
  both.replaceOne(another);
  const second = both.next();
  one.give("of the one that was replaced");
  another.give("b");
  expect(await second).toEqual({ from: "one", step: { done: false, value: "b" } });
  expect([one.asked, other.asked, another.asked]).toEqual([1, 2, 1]);
});
