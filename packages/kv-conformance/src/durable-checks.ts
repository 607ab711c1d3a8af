import type { Kv } from "@tidemark/kv";
import { bytes, expectCode, expectThat, expectValues, numberBytes, numberOf, within } from "./assertions.ts";
import { hookOf, type KvCheckContext, type KvWorker } from "./check.ts";
import { readRegister, rowKey } from "./kv-task.ts";

/** How often the process is killed, over one store. */
const KILLS = 3;
/** What two processes add together. */
const INCREMENTS = 3_000;

/** Every commit that was acknowledged is there after all handles were closed and the store opened again. */
export async function reopenKeepsCommits(context: KvCheckContext): Promise<void> {
  const { fixture, kv, second, deadlineMs } = context;
  for (let number = 1; number <= 20; number++) {
    await (number % 2 === 0 ? kv : second).commit("p", {
      puts: [{ key: rowKey(number), value: numberBytes(number) }],
    });
  }
  await kv.commit("p", { deletes: [rowKey(7)] });
  await second.close();
  await kv.close();
  const again = await within(deadlineMs, hookOf(fixture, "reopen")(), "opening again");
  for (let number = 1; number <= 20; number++) {
    const wanted = number === 7 ? undefined : numberBytes(number);
    expectValues(await again.get("p", [rowKey(number)]), [wanted], `commit ${number} after opening again`);
  }
  const { committed } = await again.commit("p", {
    checks: [{ key: rowKey(7), value: undefined }],
    puts: [{ key: rowKey(7), value: numberBytes(7) }],
  });
  expectThat(committed, "a commit after opening again failed");
}

/** A store of another version is refused with both numbers, and left as it is. */
export async function refusesAnotherVersion({ fixture, kv, second }: KvCheckContext): Promise<void> {
  await kv.commit("p", { puts: [{ key: bytes("a"), value: bytes("kept") }] });
  await second.close();
  await kv.close();
  const setVersion = hookOf(fixture, "setVersion");
  const reopen = hookOf(fixture, "reopen");
  await setVersion(0);
  const { expected } = await expectCode("KV_STORE_VERSION", reopen, "opening a store of version 0");
  if (expected === undefined) return expectThat(false, "KV_STORE_VERSION does not say what it expects");
  for (const version of [0, expected - 1, expected + 1]) {
    await setVersion(version);
    const error = await expectCode("KV_STORE_VERSION", reopen, `opening a store of version ${version}`);
    expectThat(error.actual === version, `KV_STORE_VERSION says ${error.actual}: it is ${version}`);
  }
  await setVersion(expected);
  const again = await reopen();
  expectValues(await again.get("p", [bytes("a")]), [bytes("kept")], "what a refused store holds");
}

/** A process killed at any moment: what it was told is committed is there, and each commit is whole. */
export async function keepsCommitsOfAKilledProcess(context: KvCheckContext): Promise<void> {
  const { fixture, kv, deadlineMs } = context;
  const spawn = hookOf(fixture, "spawn");
  let acknowledged = 0;
  for (let kill = 1; kill <= KILLS; kill++) {
    const worker = spawn({ kind: "append", partition: "p" });
    const wanted = acknowledged + kill * 17;
    const last = await within(deadlineMs * 4, killAt(worker, wanted), `a worker acknowledging ${wanted}`);
    expectThat(last >= wanted, `the worker ended by itself after ${last} commits`);
    acknowledged = await expectWhole(kv, last);
  }
}

/** Kills a worker once it reports this number. @returns the last that it reported. */
async function killAt(worker: KvWorker, wanted: number): Promise<number> {
  let last = 0;
  for await (const number of worker.reports) {
    last = number;
    if (last >= wanted) worker.kill();
  }
  await worker.exited;
  return last;
}

/** Checks that the register says at least this, and that the rows are those of its commits. */
async function expectWhole(kv: Kv, acknowledged: number): Promise<number> {
  const count = await readRegister(kv, "p");
  expectThat(count >= acknowledged, `commit ${acknowledged} was acknowledged: ${count} are there`);
  if (kv.capabilities.keysPerCommitMax === 1) return count;
  for (let number = 1; number <= count + 1; number++) {
    const [row] = await kv.get("p", [rowKey(number)]);
    const wanted = number <= count ? number : 0;
    expectThat(numberOf(row) === wanted, `commit ${number} of ${count} is not whole, or not undone`);
  }
  return count;
}

/** Two processes add to one register at once: nothing is lost, nothing counts twice. */
export async function processesAddUp({ fixture, kv, deadlineMs }: KvCheckContext): Promise<void> {
  const spawn = hookOf(fixture, "spawn");
  const task = { kind: "increment", partition: "p", times: INCREMENTS / 2 } as const;
  const workers = [spawn(task), spawn(task)];
  // Both must be heard, or their output would hold them up.
  const ended = workers.map(async ({ reports, exited }) => {
    for await (const _ of reports);
    return exited;
  });
  const statuses = await within(deadlineMs * 10, Promise.all(ended), `${INCREMENTS} increments`);
  expectThat(
    statuses.every((status) => status === 0),
    `a worker ended with ${statuses.join(" and ")}`,
  );
  const total = await readRegister(kv, "p");
  expectThat(total === INCREMENTS, `two processes added ${INCREMENTS}: the register says ${total}`);
}
