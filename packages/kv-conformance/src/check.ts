import type { Kv, KvCapabilities } from "@tidemark/kv";
import type { KvTask } from "./kv-task.ts";

/** What a backend's tests can do with a store, beyond opening and closing it. */
export type KvHook = "second" | "reopen" | "version" | "processes";

/** A process of its own that has the store open and works at a {@link KvTask}. */
export interface KvWorker {
  /** What the task told, in order; it ends with the process. */
  readonly reports: AsyncIterable<number>;
  /** Resolves with the exit status once the process is gone; `null` if a signal ended it. */
  readonly exited: Promise<number | null>;
  /** Ends the process as `kill -9` does. */
  kill(): void;
}

/** A store that a backend's tests opened for one check. Nothing of another check is seen in it. */
export interface KvFixture {
  /** Open and empty. */
  readonly kv: Kv;
  /** For hook `second`: opens another handle of the store, as far from the first as the backend allows. */
  openSecond?(): Promise<Kv>;
  /** For hook `reopen`: opens the store again after all its handles were closed. */
  reopen?(): Promise<Kv>;
  /** For hook `version`: while all handles are closed, makes the store one of this version. */
  setVersion?(version: number): Promise<void>;
  /** For hook `processes`: starts a program that opens the store and calls `runKvTask`. */
  spawn?(task: KvTask): KvWorker;
  /** Closes what is open and removes the store; idempotent. */
  close(): Promise<void>;
}

/** What the checks are run over. */
export interface KvConformanceOptions {
  /** Pinned here, so that a claim that is dropped shows in a diff. Checks that need more are skipped. */
  readonly claims: KvCapabilities;
  /** Opens a fresh store for each check. */
  readonly open: () => Promise<KvFixture>;
  /** @defaultValue none */
  readonly hooks?: readonly KvHook[];
  /** How long something that must happen may take. @defaultValue 5,000 */
  readonly deadlineMs?: number;
  /** How many random histories each check of a model runs. @defaultValue 20 */
  readonly historyCount?: number;
  /** Repeats the random histories of an earlier run. @defaultValue a new one, told by a failure */
  readonly seed?: number;
}

/** What a check is given. */
export interface KvCheckContext {
  readonly fixture: KvFixture;
  /** The first handle. */
  readonly kv: Kv;
  /** A second handle of the store where the fixture opens one, else the first. */
  readonly second: Kv;
  readonly claims: KvCapabilities;
  readonly deadlineMs: number;
  readonly historyCount: number;
  readonly seed: number | undefined;
}

/**
 * What a check cannot do without: a claim (`scan`, `watch`; `keys`: more than one key a commit; `durable`: commits
 * that survive their process), or a hook.
 */
export type KvRequirement = "scan" | "watch" | "keys" | "durable" | KvHook;

/** One thing every store must do. */
export interface KvCheckOfStore {
  /** The promise. */
  readonly name: string;
  /** @defaultValue none */
  readonly requires?: readonly KvRequirement[];
  /** Rejects if the promise is broken. */
  readonly run: (context: KvCheckContext) => Promise<void>;
}

/** What a store lacks that a check requires. */
export function missingRequirements(check: KvCheckOfStore, options: KvConformanceOptions): KvRequirement[] {
  const { claims, hooks = [] } = options;
  return (check.requires ?? []).filter((requirement) => {
    if (requirement === "scan" || requirement === "watch") return !claims[requirement];
    if (requirement === "keys") return claims.keysPerCommitMax === 1;
    if (requirement === "durable") return claims.durability === "memory";
    return !hooks.includes(requirement);
  });
}

/** Runs one check over a store of its own, and closes that whatever happens. */
export async function runKvCheck(check: KvCheckOfStore, options: KvConformanceOptions): Promise<void> {
  const { claims, hooks = [], deadlineMs = 5_000, historyCount = 20, seed } = options;
  const fixture = await options.open();
  try {
    const { kv } = fixture;
    const second = hooks.includes("second") ? await hookOf(fixture, "openSecond")() : kv;
    await check.run({ fixture, kv, second, claims, deadlineMs, historyCount, seed });
  } finally {
    await fixture.close();
  }
}

/** A function of a fixture that a hook promised. @throws `TypeError` if it is not there. */
export function hookOf<Name extends "openSecond" | "reopen" | "setVersion" | "spawn">(
  fixture: KvFixture,
  name: Name,
): NonNullable<KvFixture[Name]> {
  const hook = fixture[name];
  if (hook === undefined) throw new TypeError(`The fixture must have ${name}(): a hook promises it`);
  return hook.bind(fixture) as NonNullable<KvFixture[Name]>;
}
