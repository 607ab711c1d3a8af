import { fileURLToPath } from "node:url";
import type { Kv, KvCapabilities } from "@tidemark/kv";
import type { KvFixture } from "@tidemark/kv-conformance";
import { spawnKvWorker } from "@tidemark/kv-conformance/node";
import { openRedisKv, type RedisClient } from "../src/index.ts";

/** What every store over Redis claims, but for what its server keeps. */
export const CLAIMS: Omit<KvCapabilities, "durability"> = {
  name: "redis",
  sharedBy: "network",
  keysPerCommitMax: 4_096,
  valueBytesMax: 8 * 1_024 * 1_024,
  commitBytesMax: 16 * 1_024 * 1_024,
  scan: true,
  watch: true,
};

/** Where a fixture's store is: clients of one kind, and a way to write its format. */
export interface Place {
  readonly connection: RedisClient;
  setFormat(key: string, format: number): Promise<unknown>;
  /** For programs, which open a client of their own. */
  readonly url?: string;
}

const PROGRAM = fileURLToPath(new URL("kv-process.ts", import.meta.url));
let stores = 0;

/** A store under a prefix of its own; what earlier ones hold is nothing to it. */
export async function openFixture({ connection, setFormat, url }: Place): Promise<KvFixture> {
  stores += 1;
  const prefix = `store${stores}`;
  const opened: Kv[] = [];
  const open = async (): Promise<Kv> => {
    const kv = await openRedisKv({ connection, prefix, watchPollMs: 20 });
    opened.push(kv);
    return kv;
  };
  return {
    kv: await open(),
    openSecond: open,
    reopen: open,
    setVersion: async (version) => void (await setFormat(`${prefix}:format`, version)),
    ...(url === undefined
      ? {}
      : {
          spawn: (task) =>
            spawnKvWorker({
              program: PROGRAM,
              task,
              args: [url, prefix],
              execArgv: ["--conditions=@tidemark/source", "--import", "tsx"],
            }),
        }),
    close: async () => void (await Promise.all(opened.map((kv) => kv.close()))),
  };
}
