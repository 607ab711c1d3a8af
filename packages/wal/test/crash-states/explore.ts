import { createHash } from "node:crypto";
import { memoryFs, type MemoryFs, type WalFs } from "@tidemark/wal";
import { recordDisk, type PendingWrite } from "./recorded-disk.ts";

/** What a crash must leave, from a moment on. */
export interface Promised {
  /** Two moments with the same key promise the same: a disk need not be looked at twice. */
  readonly key: string;
  /** Throws if a disk does not hold it. The disk is the callee's own. */
  readonly check: (disk: MemoryFs) => Promise<void>;
}

/** Something a WAL does, step by step, on a disk that may die before each of them. */
export interface World {
  readonly name: string;
  /** A disk to begin with, made without being watched. @defaultValue an empty one */
  readonly prepare?: () => Promise<MemoryFs>;
  /** Calls `promise` whenever what must survive has changed, before the first step also. */
  readonly run: (fs: WalFs, promise: (promised: Promised) => void, disk: MemoryFs) => Promise<void>;
  /** Whether a write may also be torn at any of its bytes, all before it being on the disk. @defaultValue true */
  readonly tearsBytes?: boolean;
}

/** What was looked at. */
export interface Explored {
  /** Choices of survivors, over all steps: prefixes of directory changes, subsets of sectors, torn writes. */
  enumerated: number;
  /** Disks among them that differ in a byte, a name or in what they must hold; each was opened and checked. */
  distinct: number;
}

interface Moment {
  readonly disk: MemoryFs;
  readonly promised: Promised;
  readonly write: PendingWrite | undefined;
}

/** Runs a world once, and checks every disk that a crash before, between and behind its steps can leave. */
export async function explore(world: World, total: Explored): Promise<void> {
  const disk = (await world.prepare?.()) ?? memoryFs();
  const moments: Moment[] = [];
  let promised: Promised | undefined;
  const remember = (write?: PendingWrite): void => {
    if (promised === undefined) throw new Error(`${world.name} promises nothing before its first step`);
    const copied = write && { ...write, bytes: write.bytes.slice() };
    moments.push({ disk: disk.copy(), promised, write: copied });
  };
  await world.run(recordDisk(disk, remember), (next) => (promised = next), disk);
  remember();
  const seen = new Set<string>();
  for (const [step, moment] of moments.entries()) {
    for await (const crashed of crashesOf(moment, world.tearsBytes ?? true)) {
      total.enumerated += 1;
      const print = `${moment.promised.key} ${await fingerprint(crashed)}`;
      if (seen.has(print)) continue;
      seen.add(print);
      total.distinct += 1;
      try {
        await moment.promised.check(crashed);
      } catch (error) {
        throw new Error(`${world.name}: a crash before step ${step} of ${moments.length} breaks a promise`, {
          cause: error,
        });
      }
    }
  }
}

/** Every disk that a crash at a moment can leave. */
async function* crashesOf(moment: Moment, tearsBytes: boolean): AsyncGenerator<MemoryFs, void, undefined> {
  for (const answers of everyAnswer()) {
    const disk = moment.disk.copy();
    disk.crash(answers.next);
    yield disk;
  }
  const { write } = moment;
  if (write === undefined || !tearsBytes) return;
  for (let length = 1; length < write.bytes.length; length++) {
    const disk = moment.disk.copy();
    const file = await disk.open(write.path, "write");
    file.write(write.bytes.subarray(0, length), write.position);
    disk.crash(() => true);
    yield disk;
  }
}

/** Goes through every way to answer a row of questions, however many there are each time. */
function* everyAnswer(): Generator<{ readonly next: () => boolean }, void, undefined> {
  const answers: boolean[] = [];
  for (;;) {
    let asked = 0;
    yield {
      next: () => {
        if (asked === answers.length) answers.push(false);
        return answers[asked++] as boolean;
      },
    };
    while (answers.at(-1) === true) answers.pop();
    if (answers.length === 0) return;
    answers[answers.length - 1] = true;
  }
}

const FOLDERS = ["wal", "wal/sessions", "wal/checkpoints"];

async function fingerprint(disk: MemoryFs): Promise<string> {
  const hash = createHash("sha1");
  for (const folder of FOLDERS) {
    for (const name of (await disk.list(folder)).toSorted()) {
      const bytes = (await disk.readFile(`${folder}/${name}`)) as Uint8Array;
      hash.update(`${folder}/${name} ${bytes.length}\n`).update(bytes);
    }
  }
  return hash.digest("base64");
}
