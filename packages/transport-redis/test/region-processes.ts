import { spawn, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { eventually } from "./wait.ts";

const PROGRAM = fileURLToPath(new URL("region-process.ts", import.meta.url));

/** What a region's process is started with. */
export interface RegionProcessOptions {
  readonly url: string;
  readonly dir: string;
  readonly name: string;
  readonly members: { readonly version: number; readonly regions: Readonly<Record<string, number>> };
  /** Number of its first write. */
  readonly first: number;
  readonly pauseMs: number;
}

/** A region in a process of its own; see region-process.ts. */
export class RegionProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  #text: string = "";
  #errors: string = "";

  constructor({ url, dir, name, members, first, pauseMs }: RegionProcessOptions) {
    const args = [url, dir, name, JSON.stringify(members), `${first}`, `${pauseMs}`];
    const node = ["--conditions=@tidemark/source", "--import", "tsx", PROGRAM, ...args];
    this.#child = spawn(process.execPath, node, {
      stdio: ["ignore", "pipe", "pipe"],
      // Not those of vitest, but those of a mutation check, if this is one.
      env: { ...process.env, NODE_OPTIONS: process.env["TIDEMARK_PROCESS_OPTIONS"] ?? "" },
    });
    this.#child.stdout!.on("data", (part) => (this.#text += String(part)));
    this.#child.stderr!.on("data", (part) => (this.#errors += String(part)));
    this.#ended = new Promise((resolve) => this.#child.once("close", () => resolve()));
  }

  /** Writes it was told are durable. A line that was cut short was not said. */
  get acknowledged(): string[] {
    return this.#said("ack ");
  }

  get tried(): string[] {
    return this.#said("try ");
  }

  /** Waits until it has said a line, or has that many writes acknowledged. */
  async until(what: "open" | "ready" | number): Promise<void> {
    await eventually(() => {
      if (this.#child.exitCode !== null) throw new Error(`The process ended: ${this.#errors}`);
      return typeof what === "number" ? this.acknowledged.length >= what : this.#lines().includes(what);
    }, `the process being ${what}: ${this.#errors}`);
  }

  /** `kill -9`. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }

  #said(word: string): string[] {
    return this.#lines()
      .filter((line) => line.startsWith(word))
      .map((line) => line.slice(word.length));
  }

  #lines(): string[] {
    return this.#text.split("\n").slice(0, -1);
  }
}
