import type { Cut } from "./plan.ts";
import type { Network } from "./region-driver.ts";

/** Told when the link is cut and healed. */
export interface LinkListener {
  onCut(cut: Cut): void;
  onHeal(): void;
}

/** The names of the regions, by number: two that are written to, and the follower of both. */
export const REGION_NAMES = ["us-east", "eu-west", "ap-south"] as const;

/**
 * The link between the two regions, cut and healed as the plan has it.
 *
 * Any region can serve the logs of any other, so while the link is cut the follower loses one side too:
 * otherwise what one region wrote would reach the other through it. It keeps the side the plan names.
 */
export class Link {
  readonly #network: Network;
  readonly #cuts: readonly Cut[];
  readonly #listener: LinkListener;
  #index = 0;
  #played = 0;
  #roams = 0;
  #isCut = false;
  #untilCut = new AbortController();

  constructor(network: Network, cuts: readonly Cut[], listener: LinkListener) {
    this.#network = network;
    this.#cuts = cuts;
    this.#listener = listener;
  }

  get isCut(): boolean {
    return this.#isCut;
  }

  /** Aborts when the link is cut next: what waits for the other side has to give up. */
  get untilCut(): AbortSignal {
    return this.#untilCut.signal;
  }

  /** Called before a line is played: the first cut belongs to a line. */
  beforeLine(line: number): void {
    if (!this.#isCut && this.#cuts[this.#index]?.line === line) this.#cut();
  }

  /** Called when a session has roamed while the link was cut. */
  roamed(): void {
    this.#roams++;
  }

  /** Called after every operation: counts towards the next heal, or the next cut. */
  played(): void {
    this.#played++;
    const cut = this.#cuts[this.#index];
    if (cut === undefined) return;
    if (!this.#isCut) {
      if (cut.line === 0 && this.#played >= cut.after) this.#cut();
    } else if (this.#played >= cut.operations && (this.#index > 0 || this.#roams > 0)) {
      this.heal();
    }
  }

  /** Heals the link, whatever the plan has left. */
  heal(): void {
    if (!this.#isCut) return;
    this.#isCut = false;
    this.#index++;
    this.#played = 0;
    this.#untilCut = new AbortController();
    this.#network.heal();
    this.#listener.onHeal();
  }

  #cut(): void {
    const cut = this.#cuts[this.#index]!;
    this.#isCut = true;
    this.#played = 0;
    this.#network.cut(REGION_NAMES[cut.follower === 0 ? 1 : 0]);
    this.#listener.onCut(cut);
    this.#untilCut.abort(new Error("The link was cut"));
  }
}
