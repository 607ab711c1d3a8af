import type { HistoryEvent } from "./history-events.ts";

/** Lines that are kept. */
const STORY_LINES_MAX = 200;

/** What happened in a run of an application, for people: steps of clients, operations that regions applied, faults. */
export class AppStory {
  readonly #now: () => number;
  readonly #lines: string[] = [];

  /** @param now - Virtual milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Adds a line: where something happened, and what. */
  tell(where: string, what: string): void {
    this.#lines.push(`${this.#now().toFixed(0).padStart(8)} ms  ${where.padEnd(9)} ${what}`);
    if (this.#lines.length > STORY_LINES_MAX) this.#lines.shift();
  }

  /** Adds what happened to regions, unless it is of no interest here. */
  hear(event: HistoryEvent): void {
    if (event.type === "applied")
      this.tell(
        event.region,
        `applied ${event.kind} ${event.lane} ${event.seqno} of session ${event.session}`,
      );
    else if (event.type === "life") this.tell(event.region, `opened, life ${event.life}`);
    else if (event.type === "fault") this.tell("fault", `${event.name} ${event.target}`);
  }

  /** Oldest first. */
  lines(): readonly string[] {
    return [...this.#lines];
  }
}
