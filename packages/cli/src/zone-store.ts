import { readdir } from "node:fs/promises";
import { resolve } from "node:path";
import type { Kv } from "@tidemark/kv";
import { type ZoneName, Zones, parseZoneName } from "@tidemark/zones";
import { requireDirectory } from "./directory.ts";
import { CliError } from "./errors.ts";
import type { CliIo } from "./io.ts";
import type { Output } from "./output.ts";

/** Options of every command about zones. */
export interface StoreOptions {
  readonly store?: string;
}

/** A store of zones that is open. */
export interface OpenStore extends AsyncDisposable {
  readonly dir: string;
  readonly zones: Zones;
}

/** How a store is named on the command line. */
export const STORE_OPTION = "--store <dir>";
export const STORE_SUMMARY = "the directory of a store of @tidemark/kv-lmdb (default: TIDEMARK_STORE)";

/**
 * Opens the store that a command is about. It may be open in other processes.
 *
 * @throws CliError `CLI_USAGE`, `CLI_NO_DIRECTORY`, `CLI_NOT_A_STORE`, `CLI_NO_ADAPTER`.
 */
export async function openStore({ store }: StoreOptions, io: CliIo, output: Output): Promise<OpenStore> {
  const named = store ?? io.env["TIDEMARK_STORE"];
  if (named === undefined || named === "")
    throw new CliError("CLI_USAGE", "Say which store: give --store, or set TIDEMARK_STORE");
  const dir = resolve(io.cwd, named);
  await requireDirectory(dir);
  // To open one that is not there would make it.
  if (!(await readdir(dir)).includes("data.mdb"))
    throw new CliError("CLI_NOT_A_STORE", `${dir} is no store of @tidemark/kv-lmdb: there is no data.mdb`);
  const kv = await openKv(dir);
  return {
    dir,
    zones: new Zones({ kv, log: (line) => output.note(line) }),
    [Symbol.asyncDispose]: () => kv.close(),
  };
}

/**
 * Makes sure that zones may be changed here.
 *
 * @throws CliError `CLI_REPLICATED`.
 */
export async function requireOwn(zones: Zones, definition: string): Promise<void> {
  if (!(await zones.isReplicated(definition))) return;
  throw new CliError(
    "CLI_REPLICATED",
    `The zones of ${definition} travel to other regions: change them through the program that has their journal`,
  );
}

/** The archive that a name is of. @throws CliError `CLI_USAGE` */
export function archiveOf(name: string | undefined): Required<ZoneName> {
  const { definition, archivedAtMs } = parseZoneName(name ?? "") ?? {};
  if (definition !== undefined && archivedAtMs !== undefined) return { definition, archivedAtMs };
  throw new CliError(
    "CLI_USAGE",
    `${JSON.stringify(name)} is no archive: give its zone, as zones ls prints it`,
  );
}

async function openKv(dir: string): Promise<Kv> {
  let adapter: typeof import("@tidemark/kv-lmdb");
  try {
    // Not everybody who looks after a region has a store, and it brings a part that is compiled for each machine.
    adapter = await import("@tidemark/kv-lmdb");
  } catch (cause) {
    throw new CliError("CLI_NO_ADAPTER", "Zones need @tidemark/kv-lmdb: install it beside @tidemark/cli", {
      cause,
    });
  }
  return adapter.openLmdbKv({ dir });
}
