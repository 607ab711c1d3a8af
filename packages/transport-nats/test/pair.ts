import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Region } from "@tidemark/region";
import { openRegion } from "@tidemark/region/node";
import type { Transport } from "@tidemark/transport";
import { expect } from "vitest";

/** Two regions over transports of a test's own, in directories of their own. */
export class Pair implements AsyncDisposable {
  readonly us: Region;
  readonly eu: Region;
  readonly #transports: readonly Transport[];
  readonly #dir: string;

  constructor(regions: readonly Region[], transports: readonly Transport[], dir: string) {
    [this.us, this.eu] = regions as [Region, Region];
    this.#transports = transports;
    this.#dir = dir;
  }

  static async open(open: (region: number) => Promise<Transport>): Promise<Pair> {
    const dir = mkdtempSync(join(tmpdir(), "tidemark-nats-regions-"));
    const clusterKey = new Uint8Array(randomBytes(32));
    const members = { version: 1, regions: { "us-east": 1, "eu-west": 2 } };
    const [regions, transports]: [Region[], Transport[]] = [[], []];
    for (const [name, id] of Object.entries(members.regions)) {
      const transport = await open(id);
      transports.push(transport);
      regions.push(
        await openRegion({ name, members, bootstrap: id === 1, dir: join(dir, name), transport, clusterKey }),
      );
    }
    const pair = new Pair(regions, transports, dir);
    for (const region of regions) await region.ready({ timeoutMs: 10_000 });
    return pair;
  }

  get regions(): readonly [Region, Region] {
    return [this.us, this.eu];
  }

  /** Waits until both hold everything, and compares what they hold. */
  async converged(timeoutMs: number = 20_000): Promise<void> {
    const synced = await Promise.all(this.regions.map((region) => region.synced({ timeoutMs })));
    expect(synced).toEqual([true, true]);
    expect(this.us.certificate()).toEqual(this.eu.certificate());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const region of this.regions) await region.close();
    for (const transport of this.#transports) await transport.close();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

/** The texts both regions hold of a session: the same, and each once. */
export function notesOf(pair: Pair, session: string): string[] {
  const [us, eu] = pair.regions.map((region) =>
    region.sessions
      .get(session)!
      .state()
      .annotations.map(({ text }) => text)
      .toSorted(),
  );
  expect(us).toEqual(eu);
  expect(new Set(us).size).toBe(us!.length);
  return us!;
}
