import type { KvCapabilities } from "@tidemark/kv";
import { describeKv, type KvHook } from "../src/index.ts";
import { openMemoryFixture } from "./memory-fixture.ts";

const claims: KvCapabilities = {
  name: "memory",
  durability: "disk",
  sharedBy: "instance",
  keysPerCommitMax: 101,
  valueBytesMax: 1_024 * 1_024,
  commitBytesMax: 2 * 1_024 * 1_024,
  scan: true,
  watch: true,
};
const hooks: readonly KvHook[] = ["second", "reopen", "version", "processes"];

describeKv("a store in memory", { claims, hooks, open: () => openMemoryFixture(claims) });

const single = { ...claims, keysPerCommitMax: 1, scan: false, watch: false };
describeKv("a store of one key a commit", { claims: single, open: () => openMemoryFixture(single) });
