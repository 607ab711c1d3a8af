import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openRegion } from "@tidemark/region/node";
import { regionJournal } from "@tidemark/session-store";
import { createInProcessNetwork } from "@tidemark/transport-inprocess";
import { ChatRegion, type ChatRegionOptions } from "./chat-region.ts";

/** Where the regions are. */
export const REGION_NAMES = ["us-east", "eu-west"] as const;

/** Two regions in this process, over folders that are removed with them. */
export interface RegionPair extends AsyncDisposable {
  readonly regions: readonly [ChatRegion, ChatRegion];
}

/** Opens both. */
export async function openRegionPair(options: Omit<ChatRegionOptions, "journal">): Promise<RegionPair> {
  const dir = mkdtempSync(join(tmpdir(), "tidemark-live-page-"));
  const network = createInProcessNetwork();
  const members = { version: 1, regions: { "us-east": 1, "eu-west": 2 } };
  const opened = await Promise.all(
    REGION_NAMES.map((name, index) =>
      openRegion({
        name,
        members,
        bootstrap: index === 0,
        dir: join(dir, name),
        transport: network.join(name),
        clusterKey: network.clusterKey,
      }),
    ),
  );
  await Promise.all(opened.map((region) => region.ready()));
  const [left, right] = opened.map(
    (region) => new ChatRegion({ journal: regionJournal(region, { user: "ada" }), ...options }),
  );
  return {
    regions: [left!, right!],
    async [Symbol.asyncDispose]() {
      for (const chat of [left!, right!]) await chat[Symbol.asyncDispose]();
      for (const region of opened) await region.close();
      await network.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
