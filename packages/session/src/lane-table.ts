import { equalBytes } from "@tidemark/core";
import { LaneState } from "./lane.ts";
import type { SessionEntry } from "./session-entry.ts";

/** The lanes of all sessions, numbered: what is off the heap holds the number. A number is given again once it is free. */
export class LaneTable {
  /** By number. */
  readonly lanes: (LaneState | undefined)[] = [];
  readonly #free: number[] = [];

  /** The lane of a session, made if it is missing. */
  laneOf(
    session: SessionEntry,
    bytes: Uint8Array,
    make: () => { lane: LaneState["lane"]; text: string },
  ): LaneState {
    for (const lane of session.lanes) if (equalBytes(lane.bytes, bytes)) return lane;
    const { lane: id, text } = make();
    const index = this.#free.pop() ?? this.lanes.length;
    const lane = new LaneState(id, text, bytes.slice(), index, session.id);
    this.lanes[index] = lane;
    session.lanes.push(lane);
    return lane;
  }

  /** Nothing names the lane any more. */
  free(lane: LaneState): void {
    this.lanes[lane.index] = undefined;
    this.#free.push(lane.index);
  }

  /** Orders two lanes of one session by their text. */
  compare(a: number, b: number): number {
    if (a === b) return 0;
    return (this.lanes[a] as LaneState).text < (this.lanes[b] as LaneState).text ? -1 : 1;
  }

  /** Forgets every lane. */
  clear(): void {
    this.lanes.length = 0;
    this.#free.length = 0;
  }
}
