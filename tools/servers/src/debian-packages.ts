import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Packages of a suite of Debian's; without a suite, of the one that is installed. */
export interface DebianPackages {
  readonly suite?: string;
  readonly packages: readonly string[];
  /** What the folder is called. @defaultValue suite and packages */
  readonly name?: string;
}

const SOURCES = "/etc/apt/sources.list.d/debian.sources";

/**
 * Unpacks packages of the distribution into a folder, without root and without touching the system.
 *
 * What was unpacked once is used again: the folder appears whole or not at all, whoever else unpacks it meanwhile.
 *
 * @returns the folder, with `usr/bin` and the rest inside; `undefined` where there is no apt or it has no such package.
 */
export async function unpackDebian(cache: string, wanted: DebianPackages): Promise<string | undefined> {
  const name = wanted.name ?? [wanted.suite ?? "installed", ...wanted.packages].join("_");
  const target = join(cache, name);
  if (existsSync(target)) return target;
  if (!(await runs("apt-get", ["--version"])) || !(await runs("dpkg-deb", ["--version"]))) return undefined;
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, ".unpacking-"));
  try {
    const options = wanted.suite === undefined ? [] : await ownLists(work, wanted.suite);
    const root = process.getuid?.() === 0 ? ["-o", "APT::Sandbox::User=root"] : [];
    const apt = [...options, ...root, "-qq"];
    const download = (): Promise<boolean> => runs("apt-get", [...apt, "download", ...wanted.packages], work);
    // Lists are fetched only where they are missing: that takes longest, and most machines have them.
    if (wanted.suite !== undefined || !(await download())) {
      if (!(await runs("apt-get", [...apt, "update"], work))) return undefined;
      if (!(await download())) return undefined;
    }
    const files = join(work, "files");
    await mkdir(files);
    for (const file of (await readdir(work)).filter((each) => each.endsWith(".deb"))) {
      if (!(await runs("dpkg-deb", ["-x", join(work, file), files]))) return undefined;
    }
    await rename(files, target).catch((error: unknown) => {
      // Somebody else was quicker.
      if (!existsSync(target)) throw error;
    });
    return target;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/**
 * A package and all that it needs and this machine does not have.
 *
 * @returns their names, sorted; `undefined` where there is no apt or it has no such package.
 */
export async function withDependencies(name: string): Promise<readonly string[] | undefined> {
  // It only says what it would do, which anybody may ask.
  const ask = (): Promise<string | undefined> =>
    outputOf("apt-get", ["--simulate", "--no-install-recommends", "-qq", "install", name]);
  const answer = (await ask()) ?? ((await runs("apt-get", ["-qq", "update"])) ? await ask() : undefined);
  const names = answer?.match(/(?<=^Inst )\S+/gm);
  return names === null ? undefined : names?.toSorted();
}

/** Lists of another suite, beside those of the system. */
async function ownLists(work: string, suite: string): Promise<string[]> {
  const [first = ""] = (await readFile(SOURCES, "utf8").catch(() => "")).split(/\n\s*\n/);
  const sources = join(work, "one.sources");
  await writeFile(sources, `${first.replace(/^Suites:.*$/m, `Suites: ${suite}`)}\n`);
  for (const folder of ["lists/partial", "cache/archives/partial"])
    await mkdir(join(work, folder), { recursive: true });
  const values = {
    "Dir::Etc::sourcelist": sources,
    "Dir::Etc::sourceparts": "-",
    "Dir::State::lists": join(work, "lists"),
    "Dir::Cache": join(work, "cache"),
    "Acquire::Languages": "none",
  };
  return Object.entries(values).flatMap(([key, value]) => ["-o", `${key}=${value}`]);
}

/** Whether a command ends well. */
async function runs(command: string, args: readonly string[], cwd?: string): Promise<boolean> {
  return (await outputOf(command, args, cwd)) !== undefined;
}

/** What a command prints; `undefined` for one that does not end well. */
function outputOf(command: string, args: readonly string[], cwd?: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      stdio: ["ignore", "pipe", "ignore"],
      ...(cwd === undefined ? {} : { cwd }),
    });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.once("error", () => resolve(undefined));
    child.once("close", (code) => resolve(code === 0 ? output : undefined));
  });
}
