import type { Hasher } from "@tidemark/core";
import type { Kv } from "@tidemark/kv";
import type { ContentLimits } from "./stage-content.ts";
import type { ZoneCommits } from "./zone-commits.ts";
import type { ZoneDirectory } from "./zone-directory.ts";
import { zonePartition } from "./zone-keys.ts";
import type { ZoneWriter } from "./zone-writer.ts";

/** What all that is done with zones shares. */
export interface ZoneContext {
  readonly kv: Kv;
  readonly commits: ZoneCommits;
  readonly directory: ZoneDirectory;
  readonly hasher: Hasher;
  readonly limits: ContentLimits;
  readonly clockId: number;
  /** Unpredictable bytes, for names of conversations. */
  readonly randomBytes: (count: number) => Uint8Array;
  /** Takes one line of text that tells people what was done. */
  readonly log: (line: string) => void;
}

/** Who decides about one agent. */
export function writerOf(context: ZoneContext, definition: string): ZoneWriter {
  const { hasher, clockId, commits } = context;
  const fresh = Array.from(context.randomBytes(16), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const records = { partition: zonePartition(definition), hasher };
  return { definition, records, clockId, fresh, merges: commits.merges };
}
