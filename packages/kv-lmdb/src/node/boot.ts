import { readFileSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";

const GATE_OF_A_BOOT = /^gate-[0-9a-f-]+\.mdb(?:-lock)?$/;

/** Differs from one start of the machine to the next, where the system tells them apart. */
function bootName(): string {
  try {
    return `-${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()}`;
  } catch {
    return "";
  }
}

/** Where the processes of this start of the machine meet: what a loss of power left half written is never read. */
export function gatePath(dir: string): string {
  return join(dir, `gate${bootName()}.mdb`);
}

/** Removes what other starts of the machine left: no process of theirs is there any more. */
export async function removeOldGates(dir: string): Promise<void> {
  const boot = bootName();
  if (boot === "") return;
  for (const name of await readdir(dir))
    if (GATE_OF_A_BOOT.test(name) && !name.startsWith(`gate${boot}.`))
      await rm(join(dir, name), { force: true });
}
