import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { EXIT, runCli } from "@tidemark/cli";
import { openRegion } from "@tidemark/region/node";
import { mutateJson } from "../json.ts";
import type { Random } from "../random.ts";
import { bytesOf, type FuzzTarget } from "../target.ts";

const SEPARATOR = "\u0001";
const COMMANDS: readonly (readonly string[])[] = [
  ["--help"],
  ["--version"],
  ["status", "d", "--json"],
  ["status", "d", "--lag-max", "10s"],
  ["doctor", "d"],
  ["doctor", "d", "--json"],
  ["wal", "inspect", "d"],
  ["wal", "verify", "d", "--json"],
  ["wal", "dump", "d", "--from", "1", "--to", "5"],
  ["wal", "repair", "d", "--dry-run"],
  ["members", "list", "d"],
  ["members", "add", "d", "ap-south"],
  ["export", "d", "--format", "jsonl"],
  ["export", "d", "--since", "2h"],
  ["keygen"],
  ["provision", "nats", "--regions", "us-east,eu-west"],
  ["provision", "redis", "--json"],
];
const WORDS = [
  ...new Set(COMMANDS.flat()),
  "--yes",
  "--out",
  "-h",
  "--",
  "",
  "NaN",
  "-1",
  "1e99",
  "é",
  "__proto__",
  "--json=x",
];
/** What looks at a directory and changes nothing in it. */
const LOOKS: readonly (readonly string[])[] = [
  ["status", "d", "--json"],
  ["doctor", "d", "--json"],
  ["wal", "inspect", "d", "--json"],
  ["wal", "verify", "d"],
  ["wal", "dump", "d"],
  ["wal", "repair", "d", "--dry-run"],
  ["members", "list", "d"],
  ["export", "d"],
];
const CODES = new Set<number>(Object.values(EXIT));

/** Command lines, and whole directories under a command. */
export const CLI: readonly FuzzTarget[] = [
  {
    name: "cli-arguments",
    seeds: () => COMMANDS.map((words) => bytesOf(words.join(SEPARATOR))),
    bytesMax: 512,
    close: leave,
    mutate: mutateWords,
    run: async (input) => {
      const words = new TextDecoder().decode(input).split(SEPARATOR);
      // Nothing outside of the folder is anybody's to touch.
      if (words.some((word) => word.includes("/") || word.includes("..") || word.includes("\\"))) return;
      const place = await placeOf();
      await checked(words, place.dir);
      place.restore();
    },
  },
  {
    name: "cli-directory",
    close: leave,
    // The first byte names a file, the second what looks at it, the rest is its content.
    seeds: async () => {
      const { files } = await placeOf();
      return [...files.values()].flatMap((bytes, file) =>
        LOOKS.map((_, look) => Uint8Array.of(file, look, ...bytes.subarray(0, 2048))),
      );
    },
    mutate: (input, random) => {
      const content = mutateJson(input.subarray(2), random);
      return Uint8Array.of(input[0] ?? 0, random.below(LOOKS.length), ...content);
    },
    run: async (input) => {
      const place = await placeOf();
      const path = [...place.files.keys()][(input[0] ?? 0) % place.files.size] as string;
      writeFileSync(path, input.subarray(2));
      await checked(LOOKS[(input[1] ?? 0) % LOOKS.length] as readonly string[], place.dir);
      writeFileSync(path, place.files.get(path) as Uint8Array);
    },
  },
];

function mutateWords(input: Uint8Array, random: Random): Uint8Array {
  const words = new TextDecoder().decode(input).split(SEPARATOR);
  const at = random.below(words.length + 1);
  const word = random.below(4) === 0 ? [] : [random.pick(WORDS)];
  return bytesOf(words.toSpliced(at, random.below(2), ...word).join(SEPARATOR));
}

/** Runs a command line: it ends with a code of ours, and says no more than a person can use. */
async function checked(words: readonly string[], cwd: string): Promise<void> {
  let said = "";
  const stream = { write: (text: string) => ((said += text), true), isTTY: false, drained: async () => {} };
  const code = await runCli(words, {
    version: "0.0.0",
    io: {
      stdout: { ...stream, write: () => true },
      stderr: stream,
      env: {},
      cwd,
      now: () => 1_790_000_000_000,
      signal: new AbortController().signal,
    },
  });
  if (!CODES.has(code)) throw new Error(`The exit code is ${code}`);
  if (
    /^\s+at .+:\d+:\d+\)?$/m.test(said) ||
    /\b(TypeError|RangeError|undefined is not|Cannot read properties)\b/.test(said)
  )
    throw new Error(`Somebody is told of our code: ${said}`);
}

interface Place {
  readonly dir: string;
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Puts every file back, and takes away what was added. */
  restore(): void;
}

let made: Promise<Place> | undefined;

async function leave(): Promise<void> {
  const place = await made;
  made = undefined;
  if (place !== undefined) rmSync(place.dir, { recursive: true, force: true });
}

/** A folder with one region in it. */
function placeOf(): Promise<Place> {
  made ??= (async () => {
    const dir = mkdtempSync(join(tmpdir(), "tidemark-fuzz-"));
    const region = await openRegion({ dir: join(dir, "d") });
    const session = await region.sessions.start({ id: "the-session", user: "the-user", agent: "scout" });
    await session.hide("the-item");
    await region.close();
    const files = new Map<string, Uint8Array>();
    for (const path of filesBelow(dir)) files.set(path, new Uint8Array(readFileSync(path)));
    const restore = (): void => {
      for (const path of filesBelow(dir)) if (!files.has(path)) rmSync(path);
      for (const [path, bytes] of files) {
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(path, bytes);
      }
    };
    return { dir, files, restore };
  })();
  return made;
}

function filesBelow(dir: string): string[] {
  return readdirSync(dir)
    .toSorted()
    .map((name) => join(dir, name))
    .flatMap((path) => (statSync(path).isDirectory() ? filesBelow(path) : [path]));
}
