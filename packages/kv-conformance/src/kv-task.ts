import type { Kv } from "@tidemark/kv";
import { bytes, numberBytes, numberOf } from "./assertions.ts";

/**
 * What a process of its own does with a store.
 *
 * - `append` commits the numbers from one above the last that is there, one after another, until it is killed, and
 *   reports each once its commit has resolved.
 * - `increment` adds one to a register `times` times, each by a check of what it read, and reports how often it
 *   had to try again once all are done.
 */
export type KvTask =
  | { readonly kind: "append"; readonly partition: string }
  | { readonly kind: "increment"; readonly partition: string; readonly times: number };

/** The register that both tasks write. */
export const REGISTER: Uint8Array = bytes("register");

/** The row that `append` writes beside its register, where a commit takes several keys. */
export function rowKey(number: number): Uint8Array {
  return Uint8Array.of(...bytes("row "), ...numberBytes(number));
}

/** Works at a task: what a program does that the hook `processes` starts. */
export async function runKvTask(kv: Kv, task: KvTask, report: (number: number) => void): Promise<void> {
  if (task.kind === "increment") return report(await incrementTimes(kv, task.partition, task.times));
  for (let number = (await readRegister(kv, task.partition)) + 1; ; number++) {
    await append(kv, task.partition, number);
    report(number);
  }
}

/** The number in the register of a task. */
export async function readRegister(kv: Kv, partition: string): Promise<number> {
  const [value] = await kv.get(partition, [REGISTER]);
  return numberOf(value);
}

/** Adds one so many times. @returns how often another writer came first. */
export async function incrementTimes(kv: Kv, partition: string, times: number): Promise<number> {
  let retries = 0;
  for (let done = 0; done < times;) {
    const [value] = await kv.get(partition, [REGISTER]);
    const next = numberBytes(numberOf(value) + 1);
    const { committed } = await kv.commit(partition, {
      checks: [{ key: REGISTER, value }],
      puts: [{ key: REGISTER, value: next }],
    });
    if (committed) done += 1;
    else retries += 1;
  }
  return retries;
}

async function append(kv: Kv, partition: string, number: number): Promise<void> {
  const before = number === 1 ? undefined : numberBytes(number - 1);
  const value = numberBytes(number);
  const row = kv.capabilities.keysPerCommitMax > 1 ? [{ key: rowKey(number), value }] : [];
  const { committed } = await kv.commit(partition, {
    checks: [{ key: REGISTER, value: before }],
    puts: [{ key: REGISTER, value }, ...row],
  });
  if (!committed) throw new Error(`The register is not at ${number - 1}, though nobody else writes it`);
}
