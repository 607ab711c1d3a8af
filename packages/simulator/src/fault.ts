import type { Random } from "./random.ts";
import type { World } from "./world.ts";

/** What faults are about: a profile names the families it draws from. */
export type FaultFamily = "network" | "broker" | "processes" | "clocks" | "disk" | "rot" | "members";

/** Something that is done to a world, and can be undone. */
export interface Fault {
  readonly name: string;
  /** What it is done to, for the history. */
  readonly target: string;
  /** What it takes hold of: no two faults have the same one at a time. */
  readonly holds: string;
  /** What is stored at the target may be damaged by it. @defaultValue false */
  readonly damages?: boolean;
  apply(world: World): void | Promise<void>;
  /** Undoes it. Without it nothing is left to undo. */
  heal?(world: World): void | Promise<void>;
}

/** What a drawn fault may look at. */
export interface FaultContext {
  readonly world: World;
  readonly random: Random;
  /** The one machine whose disk may lose what it had: others hold all that it may lose. */
  readonly weak: string;
}

/** Draws a fault of its kind; `undefined` where there is nothing to do it to. */
export type FaultMaker = (context: FaultContext) => Fault | undefined;
