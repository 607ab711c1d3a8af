import { expect, test } from "vitest";
import { Life, Random, SimDisk, Trace, VirtualTime } from "../src/index.ts";

interface Scene {
  readonly time: VirtualTime;
  readonly disk: SimDisk;
  life(number: number): Life;
}

function scene(seed = 1): Scene {
  const random = new Random(seed);
  const time = new VirtualTime(random.fork("time"));
  const trace = new Trace(() => time.now());
  const disk = new SimDisk({ random: random.fork("disk"), time });
  const life = (number: number): Life => {
    const made = new Life({ machine: "us", number, time, trace, random: random.fork(`life ${number}`) });
    made.onDeath((how) => (how === "kill" ? disk.kill() : disk.crash()));
    return made;
  };
  return { time, disk, life };
}

/** Writes a file and says how far it came. */
async function writeFile(life: Life, disk: SimDisk, reached: string[]): Promise<void> {
  const fs = disk.fsFor(life);
  await fs.mkdir("data");
  reached.push("mkdir");
  const file = await fs.open("data/a", "create");
  reached.push("open");
  file.write(Uint8Array.of(1, 2, 3), 0);
  reached.push("write");
  await file.sync();
  reached.push("sync");
  await fs.syncDir("data");
  reached.push("syncDir");
}

test("Life ends at any call, before or after it took effect, and nothing of the dead goes on", async () => {
  for (const after of [false, true]) {
    for (let call = 1; call <= 5; call++) {
      const { time, disk, life } = scene(call);
      const first = life(1);
      first.dieAt(call, "kill", after);
      const reached: string[] = [];
      void writeFile(first, disk, reached);
      await time.advance(1_000);
      expect(first.alive).toBe(false);
      expect(first.calls).toBe(call);
      // A write is no call that waits: the line after it is still reached.
      expect(reached.length).toBe(call === 3 ? 3 : call - 1);
      const stored = await disk.contents.readFile("data/a").catch(() => undefined);
      const effects = call - 1 + (after ? 1 : 0);
      expect(stored?.length).toBe(effects < 2 ? undefined : effects < 3 ? 0 : 3);
    }
  }
});

test("SimDisk keeps what was synced through a power loss, and the page cache through the death of a process", async () => {
  const lengthAfter = async (how: "kill" | "crash", seed: number): Promise<number | undefined> => {
    const { time, disk, life } = scene(seed);
    const first = life(1);
    await time.until(writeFile(first, disk, []));
    const fs = disk.fsFor(first);
    const file = await time.until(fs.open("data/a", "write"));
    file.write(new Uint8Array(600), 3);
    first.die(how);
    const second = life(2);
    return (await time.until(disk.fsFor(second).readFile("data/a")))?.length;
  };
  const crashed = new Set<number | undefined>();
  for (let seed = 0; seed < 20; seed++) {
    expect(await lengthAfter("kill", seed)).toBe(603);
    crashed.add(await lengthAfter("crash", seed));
  }
  expect(crashed.has(undefined)).toBe(false);
  expect(Math.min(...([...crashed] as number[]))).toBe(3);
  expect(crashed.size).toBeGreaterThan(1);
});

test("Life has timers that its death silences", async () => {
  const { time, life } = scene();
  const first = life(1);
  let fired = 0;
  first.timers.setTimer(10, () => (fired += 1));
  first.timers.setTimer(20, () => (fired += 1));
  await time.advance(15);
  first.die("kill");
  first.timers.setTimer(1, () => (fired += 1));
  await time.advance(100);
  expect(fired).toBe(1);
});

test("SimDisk takes time when it is slow, fails when it is full, and gives an older image back", async () => {
  const { time, disk, life } = scene();
  const first = life(1);
  const fs = disk.fsFor(first);
  await time.until(writeFile(first, disk, []));
  const image = await disk.image();
  const file = await time.until(fs.open("data/a", "write"));
  file.write(Uint8Array.of(9), 0);
  disk.slow(5_000);
  const before = time.now();
  await time.until(file.sync());
  expect(time.now() - before).toBeGreaterThanOrEqual(5_000);
  // A call that holds the thread shows in the process's own measure of time.
  const heldFrom = first.timers.now();
  file.syncNow();
  expect(first.timers.now() - heldFrom).toBe(5_000);
  disk.slow(0);
  disk.full();
  expect(() => file.write(new Uint8Array(10_000), 3)).toThrow("ENOSPC");
  disk.room();
  expect(file.write(new Uint8Array(10_000), 0)).toBe(10_000);
  disk.failSync();
  await expect(time.until(file.sync())).rejects.toThrow("EIO");
  first.die("kill");
  await disk.restore(image);
  expect(await disk.contents.readFile("data/a")).toEqual(Uint8Array.of(1, 2, 3));
  expect(await disk.files()).toEqual(["data/a"]);
  disk.flipBit("data/a", 0, 1);
  expect(await disk.contents.readFile("data/a")).toEqual(Uint8Array.of(3, 2, 3));
});
