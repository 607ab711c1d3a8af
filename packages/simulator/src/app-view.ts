import type { Region, Session } from "@tidemark/region";
import type { Random } from "./random.ts";

/** What a check looks at: one region, with what is known there. */
export interface AppView<Signal extends string = string, States extends object = object> {
  readonly region: Region<Signal, States>;
  /** The session of all clients, as this region knows it. */
  readonly session: Session<Signal, States>;
  /** Whether the run is over: everything is healed, and every region has everything. */
  readonly settled: boolean;
}

/** A client at one of its steps. */
export interface AppClient<Signal extends string = string, States extends object = object> extends Omit<
  AppView<Signal, States>,
  "settled"
> {
  /** From 0. */
  readonly client: number;
  /** From 0. */
  readonly step: number;
  /** A name that no other step of the run has. */
  readonly name: string;
  /** What the client draws from: the same for a seed, whatever others draw. */
  readonly random: Random;
  /** Lets virtual time pass. */
  sleep(ms: number): Promise<void>;
  /** Adds a line to the story. */
  note(what: string): void;
}
