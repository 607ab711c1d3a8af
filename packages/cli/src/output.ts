import type { Failure } from "./errors.ts";
import type { CliIo } from "./io.ts";

/** Options of every command. */
export interface OutputOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
  /** False for `--no-color`. */
  readonly color?: boolean;
}

/** How something is meant: decides its colour, where there is colour. */
export type Tone = "good" | "warn" | "bad" | "faint";

const CODES: Readonly<Record<Tone, number>> = { good: 32, warn: 33, bad: 31, faint: 2 };

/** Results on standard output, everything else on standard error. */
export class Output {
  readonly json: boolean;
  readonly #quiet: boolean;
  readonly #color: boolean;
  readonly #io: CliIo;

  constructor(io: CliIo, { json = false, quiet = false, color = true }: OutputOptions) {
    this.#io = io;
    this.json = json;
    this.#quiet = quiet;
    // NO_COLOR, see no-color.org: set to anything but nothing.
    this.#color = color && io.stdout.isTTY && !io.env["NO_COLOR"] && io.env["TERM"] !== "dumb";
  }

  /** Whether progress may be shown. */
  get progress(): boolean {
    return !this.#quiet && this.#io.stderr.isTTY && this.#io.env["TERM"] !== "dumb";
  }

  /** The result: as one JSON document, or as text. */
  async result(value: unknown, text: () => string): Promise<void> {
    await this.write(this.json ? `${JSON.stringify(value, null, 2)}\n` : text());
  }

  /** A part of a result that is too long to be kept; resolves when there is room for more. */
  async write(text: string): Promise<void> {
    if (!this.#io.stdout.write(text)) await this.#io.stdout.drained();
  }

  /** Something worth knowing that is no result. */
  note(text: string): void {
    if (!this.#quiet) this.#io.stderr.write(`${text}\n`);
  }

  /** Why there is no result: a line, or the same as JSON. Never silent. */
  failure({ code, message, exitCode }: Failure): void {
    const text = this.json
      ? JSON.stringify({ error: { code, message, exitCode } })
      : `tidemark: ${message} (${code})`;
    this.#io.stderr.write(`${text}\n`);
  }

  paint(tone: Tone, text: string): string {
    return this.#color ? `\u001b[${CODES[tone]}m${text}\u001b[0m` : text;
  }
}
