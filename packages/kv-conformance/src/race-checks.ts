import { bytes, expectThat, expectValues, numberBytes, numberOf } from "./assertions.ts";
import type { KvCheckContext } from "./check.ts";
import { incrementTimes, readRegister } from "./kv-task.ts";

const A = bytes("a");
const B = bytes("b");

/** Of commits at once that check the same value of one register, exactly one wins; its value is there. */
export async function exactlyOneWins({ kv, second }: KvCheckContext): Promise<void> {
  let stored: Uint8Array | undefined;
  for (let round = 0; round < 20; round++) {
    const rivals = Array.from({ length: 8 }, (_, rival) => numberBytes(round * 8 + rival + 1));
    const checks = [{ key: A, value: stored }];
    const results = await Promise.all(
      rivals.map((value, rival) =>
        (rival % 2 === 0 ? kv : second).commit("p", { checks, puts: [{ key: A, value }] }),
      ),
    );
    const winners = rivals.filter((_, rival) => results[rival]!.committed);
    expectThat(winners.length === 1, `${winners.length} of 8 commits won in round ${round}`);
    expectValues(await second.get("p", [A]), winners, "the register after a race");
    stored = winners[0];
  }
}

/** Increments by several writers of two handles add up: none is lost, none counts twice. */
export async function incrementsAddUp({ kv, second }: KvCheckContext): Promise<void> {
  const writers = [kv, second, kv, second];
  await Promise.all(writers.map((writer) => incrementTimes(writer, "p", 25)));
  const total = await readRegister(kv, "p");
  expectThat(total === 100, `4 writers added 25 each: the register says ${total}`);
}

/** Two commits that each check what the other writes cannot both win: there is no write skew. */
export async function refusesWriteSkew({ kv, second }: KvCheckContext): Promise<void> {
  for (let round = 0; round < 20; round++) {
    const partition = `skew/${round}`;
    const absent = [A, B].map((key) => ({ key, value: undefined }));
    const results = await Promise.all([
      kv.commit(partition, { checks: absent, puts: [{ key: A, value: A }] }),
      second.commit(partition, { checks: absent.toReversed(), puts: [{ key: B, value: B }] }),
    ]);
    const winners = results.filter(({ committed }) => committed).length;
    expectThat(winners === 1, `${winners} of 2 commits won that each checked what the other wrote`);
  }
}

/** A read that begins after a commit has resolved sees it, whichever handle made either. */
export async function readsSeeWhatCameBefore({ kv, second }: KvCheckContext): Promise<void> {
  for (let number = 1; number <= 30; number++) {
    const writer = number % 2 === 0 ? kv : second;
    await writer.commit("p", { puts: [{ key: A, value: numberBytes(number) }] });
    const [seen] = await (number % 3 === 0 ? kv : second).get("p", [A]);
    expectThat(numberOf(seen) === number, `a read after commit ${number} saw ${numberOf(seen)}`);
  }
}

/** A commit to one partition never waits for a check of another, nor touches it. */
export async function partitionsRaceApart({ kv, second }: KvCheckContext): Promise<void> {
  const partitions = Array.from({ length: 10 }, (_, index) => `apart/${index}`);
  const results = await Promise.all(
    partitions.map((partition, index) =>
      (index % 2 === 0 ? kv : second).commit(partition, {
        checks: [{ key: A, value: undefined }],
        puts: [{ key: A, value: numberBytes(index) }],
      }),
    ),
  );
  expectThat(
    results.every(({ committed }) => committed),
    "a commit failed because of one to another partition",
  );
  for (const [index, partition] of partitions.entries()) {
    expectValues(await kv.get(partition, [A]), [numberBytes(index)], partition);
  }
}
