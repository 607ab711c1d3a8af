import { fileURLToPath } from "node:url";
import { jetstream } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { connect } from "@nats-io/transport-node";
import type { Kv, KvCapabilities } from "@tidemark/kv";
import { describeKv, type KvFixture } from "@tidemark/kv-conformance";
import { spawnKvWorker } from "@tidemark/kv-conformance/node";
import { startNats, type NatsServer, type ServerRelease } from "@tidemark/servers";
import { afterAll, beforeAll, describe } from "vitest";
import { openNatsKv } from "../src/index.ts";
import { haveNats } from "./helpers.ts";

const PROGRAM = fileURLToPath(new URL("kv-process.ts", import.meta.url));
const CLAIMS: KvCapabilities = {
  name: "nats",
  durability: "process",
  sharedBy: "network",
  keysPerCommitMax: 1,
  valueBytesMax: 512 * 1_024,
  commitBytesMax: 1_024 * 1_024 + 2_048,
  scan: false,
  watch: false,
};
let buckets = 0;

/** A store in a bucket of its own. */
async function openFixture({ url }: NatsServer): Promise<KvFixture> {
  buckets += 1;
  const bucket = `store-${buckets}`;
  const opened: Kv[] = [];
  const open = async (): Promise<Kv> => {
    const kv = await openNatsKv({ connection: url, bucket, provision: "create" });
    opened.push(kv);
    return kv;
  };
  return {
    kv: await open(),
    openSecond: open,
    reopen: open,
    setVersion: async (version) => {
      const connection = await connect({ servers: url });
      const kv = await new Kvm(jetstream(connection)).open(bucket);
      await kv.put("format", `${version}`);
      await connection.close();
    },
    spawn: (task) =>
      spawnKvWorker({
        program: PROGRAM,
        task,
        args: [url, bucket],
        execArgv: ["--conditions=@tidemark/source", "--import", "tsx"],
      }),
    close: async () => void (await Promise.all(opened.map((kv) => kv.close()))),
  };
}

describe.skipIf(!(await haveNats())).each<ServerRelease>(["installed", "nats-newest"])(
  "nats-server: %s",
  (release) => {
    let server: NatsServer;
    beforeAll(async () => {
      server = await startNats({ release });
    });
    afterAll(() => server.remove());

    describeKv("a bucket of NATS KV", {
      claims: CLAIMS,
      hooks: ["second", "reopen", "version", ...(release === "installed" ? (["processes"] as const) : [])],
      open: () => openFixture(server),
    });
  },
);
