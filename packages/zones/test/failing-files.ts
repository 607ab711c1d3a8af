import type { ZoneFile, ZoneFiles } from "../src/index.ts";

/** Which call of zones of files fails. */
export interface FailingCall {
  /** The number of the call, from 1. */
  readonly at: number;
  /** Before it took effect, or after. */
  readonly when: "before" | "after";
}

/** Zones of files of which one call fails: whoever tries every call in turn has tried a crash at every place. */
export class FailingZoneFiles implements ZoneFiles {
  calls: number = 0;
  readonly #files: ZoneFiles;
  readonly #failing: FailingCall;

  constructor(files: ZoneFiles, failing: FailingCall) {
    this.#files = files;
    this.#failing = failing;
  }

  get failed(): boolean {
    return this.calls >= this.#failing.at;
  }

  zones(): Promise<readonly string[]> {
    return this.#call(() => this.#files.zones());
  }

  files(zone: string): Promise<readonly string[]> {
    return this.#call(() => this.#files.files(zone));
  }

  read(zone: string, file: string): Promise<ZoneFile | undefined> {
    return this.#call(() => this.#files.read(zone, file));
  }

  write(zone: string, file: string, content: ZoneFile): Promise<void> {
    return this.#call(() => this.#files.write(zone, file, content));
  }

  remove(zone: string): Promise<void> {
    return this.#call(() => this.#files.remove(zone));
  }

  async #call<Result>(call: () => Promise<Result>): Promise<Result> {
    this.calls += 1;
    if (this.calls !== this.#failing.at) return call();
    if (this.#failing.when === "after") await call();
    throw new Error("The file call failed");
  }
}

/** All that is there: file by file, text and time. */
export async function allFiles(files: ZoneFiles): Promise<Record<string, string>> {
  const all: Record<string, string> = {};
  for (const zone of await files.zones()) {
    for (const name of await files.files(zone)) {
      const { bytes, modifiedMs } = (await files.read(zone, name))!;
      all[`${zone} ${name}`] = `${modifiedMs} ${new TextDecoder().decode(bytes)}`;
    }
  }
  return all;
}

/** A file of text. */
export function fileOf(text: string, modifiedMs: number = 1_000): ZoneFile {
  return { bytes: new TextEncoder().encode(text), modifiedMs };
}
