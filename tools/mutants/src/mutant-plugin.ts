import { join } from "node:path";
import type { Plugin } from "vitest/config";
import { wantedMutant } from "./mutants.ts";
import { obstacles, plant, ROOT } from "./plant.ts";

/**
 * Plants the mutant that the environment names into the sources as the tests load them; nothing if it names none.
 *
 * This is why product code needs no seam: what is changed is the text that vitest reads, never the file.
 *
 * @throws Error if there is no such mutant, or one of its patterns is not in its file exactly once.
 */
export function mutantPlugins(): Plugin[] {
  const mutant = wantedMutant(process.env);
  if (mutant === undefined) return [];
  const found = obstacles(mutant);
  if (found.length > 0) throw new Error(`Mutant ${mutant.id} cannot be planted:\n${found.join("\n")}`);
  return [
    {
      name: "tidemark-mutant",
      // Before anything else, while the text is what stands in the file.
      enforce: "pre",
      transform(source, id) {
        const path = id.split("?")[0]!;
        return mutant.edits
          .filter(({ file }) => join(ROOT, file) === path)
          .reduce((text, edit) => plant(text, edit), source);
      },
    },
  ];
}
