import { createHash } from "node:crypto";
import { delimiter, join } from "node:path";
import { unpackDebian, withDependencies } from "./debian-packages.ts";
import { ServerUnavailableError } from "./errors.ts";
import { CACHE, executable, findProgram, librariesIn, type ServerBinary } from "./program-files.ts";

const NAMES = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
/** A folder of libraries that the system finds by other means than the rest. */
const MORE_LIBRARIES = "pulseaudio";

/**
 * Finds a Chromium: `CHROMIUM_BIN`, else on this machine, else unpacked from the distribution's packages with what they
 * need, without root.
 *
 * @throws {@link ServerUnavailableError} with one line that says how to get one.
 */
export async function findChromium(): Promise<ServerBinary> {
  const path = findProgram("CHROMIUM_BIN", NAMES);
  if (path !== undefined) return { path, env: {} };
  const packages = await withDependencies("chromium");
  if (packages !== undefined) {
    // They are too many for a name, and others on another machine.
    const name = `chromium_${createHash("sha256").update(packages.join()).digest("hex").slice(0, 16)}`;
    const folder = await unpackDebian(CACHE, { packages, name });
    const unpacked = join(folder ?? "", "usr", "lib", "chromium", "chromium");
    if (folder !== undefined && executable(unpacked)) {
      const libraries = librariesIn(folder).flatMap((each) => [each, join(each, MORE_LIBRARIES)]);
      return { path: unpacked, env: { LD_LIBRARY_PATH: libraries.join(delimiter) } };
    }
  }
  throw new ServerUnavailableError(
    "No Chromium can be had here: install chromium, or set CHROMIUM_BIN to its path",
  );
}

/** The same; `undefined` where there is none, which one line says, and with CI set is a failure. */
export async function haveChromium(): Promise<ServerBinary | undefined> {
  try {
    return await findChromium();
  } catch (error) {
    if (!(error instanceof ServerUnavailableError) || process.env["CI"]) throw error;
    process.stderr.write(`Skipped: ${error.message}\n`);
    return undefined;
  }
}
