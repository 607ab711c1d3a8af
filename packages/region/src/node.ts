import { randomBytes } from "node:crypto";
import { channel } from "node:diagnostics_channel";
import { readFileSync } from "node:fs";
import { createBlake3Hasher } from "@tidemark/blake3-wasm";
import { nodeFs } from "@tidemark/wal/node";
import type { ExportRow, ExportSummary } from "./export-row.ts";
import { exportDirectory } from "./export-signals.ts";
import type { ExportOptions } from "./export-signals.ts";
import { openRegion as openRegionOn } from "./open-region.ts";
import type { RegionOptions, RegionPlatform } from "./options.ts";
import type { Region } from "./region.ts";

/** The machine as Node sees it: its files, clock, timers and randomness, the fast hash engine, and `diagnostics_channel`. */
export function nodePlatform(): RegionPlatform {
  return {
    fs: nodeFs(),
    now: Date.now,
    timers: {
      now: () => performance.now(),
      setTimer: (ms, run) => {
        const timer = setTimeout(run, ms);
        return () => clearTimeout(timer);
      },
    },
    randomBytes: (count) => new Uint8Array(randomBytes(count)),
    hasher: createBlake3Hasher(),
    diagnostics: { channel },
    process: { pid: process.pid, version: packageVersion() },
  };
}

/**
 * Opens a region in a directory of this machine: the whole wiring in one call.
 *
 * Resolves once the region's own logs are open. A medium that cannot be reached is `degraded` in
 * `health()` and retried for ever; wait with `region.ready()` where a new directory has to join first.
 *
 * @throws RegionError `REGION_FOREIGN_DIR`, `REGION_DAMAGED`.
 * @throws WalError `WAL_LOCKED` if another process has the directory open.
 */
export function openRegion<Signal extends string = string, States extends object = object>(
  options: RegionOptions<Signal, States>,
): Promise<Region<Signal, States>> {
  return openRegionOn(options, nodePlatform());
}

/**
 * What was signalled, row by row, from a directory of this machine or from a region that is open: see
 * `exportDirectory`. No region has to run on the directory, and one may.
 *
 * @throws RegionError `EXPORT_UNBOUNDED` without `sinceMs` and `untilMs`.
 */
export function exportSignals(
  source: string | Region,
  options: ExportOptions,
): AsyncGenerator<ExportRow, ExportSummary, undefined> {
  if (typeof source !== "string") return source.signals.export(options);
  return exportDirectory({ fs: nodeFs(), dir: source, hasher: createBlake3Hasher() }, options);
}

/** Of this package; its manifest lies beside `src` and `dist` alike. */
function packageVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  return typeof manifest === "object" && manifest !== null && "version" in manifest
    ? String(manifest.version)
    : "";
}
