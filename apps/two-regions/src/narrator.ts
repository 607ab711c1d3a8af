import cliProgress from "cli-progress";
import { REGION_NAMES } from "./link.ts";
import type { Cut } from "./plan.ts";
import { formatReport, type Report } from "./report.ts";
import type { RunEvents } from "./run.ts";

/** Where a narrator writes. */
export interface Stage {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  /** Whether `NO_COLOR` allows colour, where there is a terminal. */
  readonly color: boolean;
}

/** Tells how a run goes: a bar on a terminal, plain lines on a pipe, and in the end the report. */
export class Narrator implements RunEvents {
  readonly #stage: Stage;
  readonly #json: boolean;
  readonly #bar: cliProgress.SingleBar | undefined;
  readonly #story: string[] = [];
  readonly #total: number;
  #played = 0;

  constructor(stage: Stage, total: number, json: boolean) {
    this.#stage = stage;
    this.#json = json;
    this.#total = total;
    if (!stage.stderr.isTTY || total === 0) return;
    this.#bar = new cliProgress.SingleBar(
      {
        format: "{bar} {value}/{total} operations, {link}",
        stream: stage.stderr,
        hideCursor: true,
        clearOnComplete: true,
      },
      cliProgress.Presets.shades_classic,
    );
    this.#bar.start(total, 0, { link: "link up" });
  }

  /** A line of the story: at once on a pipe, after the bar on a terminal. */
  say(line: string): void {
    if (this.#json) return;
    if (this.#bar === undefined) this.#stage.stdout.write(`${line}\n`);
    else this.#story.push(line);
  }

  onPlayed(played: number): void {
    this.#played = played;
    this.#bar?.update(played);
  }

  onCut(cut: Cut): void {
    const [east, west, follower] = REGION_NAMES;
    const [kept, lost] = cut.follower === 0 ? [east, west] : [west, east];
    this.#bar?.update({ link: "link cut" });
    this.say(
      `${this.#at()} the link between ${east} and ${west} is cut; ${follower} stays with ${kept} and loses ${lost}`,
    );
  }

  onHeal(): void {
    this.#bar?.update({ link: "link up" });
    this.say(`${this.#at()} the link is healed`);
  }

  onKill(region: number): void {
    this.#bar?.update({ link: "region killed" });
    this.say(`${this.#at()} ${REGION_NAMES[region]} is killed with kill -9`);
  }

  onReopened(region: number): void {
    this.#bar?.update({ link: "link up" });
    this.say(`${this.#at()} ${REGION_NAMES[region]} is open again over its directory`);
  }

  onConverging(): void {
    this.#bar?.update({ link: "converging" });
    this.say(`${this.#at()} everything is played; waiting until the regions are the same`);
  }

  /** Ends the bar, if there is one. */
  stop(): void {
    this.#bar?.stop();
    for (const line of this.#story.splice(0)) this.#stage.stdout.write(`${line}\n`);
  }

  /** Prints the outcome. */
  conclude(report: Report, elapsedMs: number): void {
    this.stop();
    if (this.#json) return void this.#stage.stdout.write(`${JSON.stringify(report)}\n`);
    const text = formatReport(report, elapsedMs);
    const verdict = this.#stage.color ? paint(text, report.ok) : text;
    this.#stage.stdout.write(`\n${verdict}`);
  }

  #at(): string {
    return `[${String(this.#played).padStart(String(this.#total).length)}/${this.#total}]`;
  }
}

/** Colours the verdict, which is the last line. */
function paint(text: string, ok: boolean): string {
  return text.replace(/[^\n]+(?=\n$)/, (verdict) => `\u001b[${ok ? 32 : 31}m${verdict}\u001b[39m`);
}
