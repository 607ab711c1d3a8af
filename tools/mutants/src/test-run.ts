import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import type { ListedMutant, NamedTest } from "./mutant.ts";
import { MUTANT_VARIABLE, PROCESS_OPTIONS_VARIABLE } from "./mutants.ts";
import { ROOT } from "./plant.ts";

/** What became of one test. */
export interface TestOutcome {
  /** Path from the root of the repository. */
  readonly file: string;
  /** Its whole name, with the groups it is in. */
  readonly name: string;
  readonly status: "passed" | "failed" | "skipped";
  readonly message: string;
}

/** What became of a run of vitest. */
export interface TestRun {
  readonly outcomes: readonly TestOutcome[];
  /** It did not end by itself within its limit, and was ended. */
  readonly hung: boolean;
  readonly ms: number;
  /** Everything it printed. */
  readonly output: string;
}

/** How a run is made. */
export interface TestRunOptions {
  /** The mutant that is planted; none for a run over the sources as they are. */
  readonly mutant?: ListedMutant;
  readonly limitMs: number;
  /** Stop at the first failure. @defaultValue false */
  readonly bail?: boolean;
}

/** The longest a single test may take under a mutant: one that waits for what never comes fails by this. */
const TEST_TIMEOUT_MS = 40_000;
/** Between being asked to end and being ended. */
const GRACE_MS = 10_000;

/** Runs nothing but the named tests, in a vitest of their own. */
export async function runTests(tests: readonly NamedTest[], options: TestRunOptions): Promise<TestRun> {
  const folder = await mkdtemp(join(tmpdir(), "tidemark-mutant-"));
  const report = join(folder, "report.json");
  const startedMs = performance.now();
  try {
    const { output, hung } = await vitest(
      [
        ...[...new Set(tests.map(({ project }) => project))].map((project) => `--project=${project}`),
        ...new Set(tests.map(({ file }) => file)),
        `--testNamePattern=${tests.map(({ name }) => escaped(name)).join("|")}`,
        `--testTimeout=${TEST_TIMEOUT_MS}`,
        "--reporter=json",
        `--outputFile.json=${report}`,
        ...(options.bail === true ? ["--bail=1"] : []),
      ],
      options,
    );
    return { outcomes: await outcomesIn(report), hung, ms: performance.now() - startedMs, output };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The outcome of a named test in a run; `undefined` if it was not run. Of several of one name, a failed one. */
export function outcomeOf(test: NamedTest, run: TestRun): TestOutcome | undefined {
  const found = run.outcomes.filter(({ file, name }) => file === test.file && name.includes(test.name));
  return found.find(({ status }) => status === "failed") ?? found.find(({ status }) => status === "passed");
}

function vitest(
  args: readonly string[],
  options: TestRunOptions,
): Promise<{ output: string; hung: boolean }> {
  const program = join(ROOT, "node_modules", "vitest", "vitest.mjs");
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, "run", ...args], {
      cwd: ROOT,
      stdio: ["ignore", "pipe", "pipe"],
      // A group of its own, so that what it started ends with it.
      detached: true,
      env: { ...process.env, ...environmentOf(options.mutant) },
    });
    let output = "";
    let hung = false;
    child.stdout.on("data", (part) => (output += String(part)));
    child.stderr.on("data", (part) => (output += String(part)));
    const end = (signal: NodeJS.Signals): void => {
      try {
        process.kill(-child.pid!, signal);
      } catch {
        // It has ended by itself meanwhile.
      }
    };
    let killer: NodeJS.Timeout | undefined;
    const limit = setTimeout(() => {
      hung = true;
      end("SIGTERM");
      killer = setTimeout(() => end("SIGKILL"), GRACE_MS);
    }, options.limitMs);
    child.once("error", reject);
    child.once("close", () => {
      clearTimeout(limit);
      clearTimeout(killer);
      resolve({ output, hung });
    });
  });
}

/** What tells vitest, and Node in processes that tests start, which mutant to plant. */
function environmentOf(mutant: ListedMutant | undefined): NodeJS.ProcessEnv {
  if (mutant === undefined) return { [MUTANT_VARIABLE]: "" };
  const edits = mutant.edits.map(({ file, pattern, replacement }) => {
    return { url: pathToFileURL(join(ROOT, file)).href, pattern, replacement };
  });
  return {
    [MUTANT_VARIABLE]: mutant.id,
    [PROCESS_OPTIONS_VARIABLE]: `--import=${new URL("plant-in-processes.mjs", import.meta.url).href}`,
    TIDEMARK_EDITS: JSON.stringify(edits),
  };
}

/** What vitest's JSON report holds, as far as it is read here. */
interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages?: readonly string[] | null;
    }[];
  }[];
}

async function outcomesIn(path: string): Promise<TestOutcome[]> {
  let report: Report;
  try {
    report = JSON.parse(await readFile(path, "utf8")) as Report;
  } catch {
    // It did not come so far as to write one.
    return [];
  }
  return report.testResults.flatMap((file) =>
    file.assertionResults.map((one): TestOutcome => ({
      file: relative(ROOT, file.name).replaceAll("\\", "/"),
      name: one.fullName,
      status: one.status === "passed" || one.status === "failed" ? one.status : "skipped",
      message: (one.failureMessages ?? []).join("\n"),
    })),
  );
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
