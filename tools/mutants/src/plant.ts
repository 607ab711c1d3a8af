import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Edit, Mutant } from "./mutant.ts";

/** The repository. */
export const ROOT: string = fileURLToPath(new URL("../../..", import.meta.url));

/**
 * Changes a source text.
 *
 * @throws Error if the pattern is not there exactly once: the source has moved on, and the mutant must follow it.
 */
export function plant(source: string, edit: Edit): string {
  const count = source.split(edit.pattern).length - 1;
  if (count !== 1) throw new Error(`${edit.file} has this text ${count} times, not once:\n${edit.pattern}`);
  // A function, since `$` means something in a replacement string.
  return source.replace(edit.pattern, () => edit.replacement);
}

/** What keeps a mutant from being planted, in words; nothing if each of its edits can be made. */
export function obstacles(mutant: Mutant): string[] {
  return mutant.edits.flatMap((edit) => {
    try {
      const source = readFileSync(join(ROOT, edit.file), "utf8");
      return plant(source, edit) === source ? [`${edit.file}: the replacement changes nothing`] : [];
    } catch (error) {
      return [(error as Error).message];
    }
  });
}
