import cliProgress from "cli-progress";
import type { DirectoryProgress } from "@tidemark/wal";
import type { CliIo } from "./io.ts";
import type { Output } from "./output.ts";
import { formatBytes } from "./units.ts";

/** A bar on a terminal, and nothing anywhere else. */
export class ByteProgress {
  readonly #bar: cliProgress.SingleBar | undefined;
  #started = false;

  constructor({ terminal }: CliIo, output: Output) {
    if (terminal === undefined || !output.progress) return;
    this.#bar = new cliProgress.SingleBar(
      { format: "{bar} {percentage}% of {size}", stream: terminal, hideCursor: true, clearOnComplete: true },
      cliProgress.Presets.shades_classic,
    );
  }

  show({ bytesDone, bytesTotal }: DirectoryProgress): void {
    if (!this.#started) this.#bar?.start(bytesTotal, 0, { size: formatBytes(bytesTotal) });
    this.#started = true;
    this.#bar?.update(bytesDone);
  }

  stop(): void {
    this.#bar?.stop();
  }
}
