import { formatLogId, regionId } from "@tidemark/core";
import { memoryFs } from "@tidemark/wal";
import { expect, test } from "vitest";
import { TestCluster, type NodeOptions } from "./cluster.ts";
import { copyDisk } from "./disk-image.ts";

const KEEPS: NodeOptions = { keeps: true, segmentBytes: 4_096, limits: { certificateMs: 0 } };
const numbered = (count: number, prefix: string): string[] =>
  Array.from({ length: count }, (_, at) => `${prefix}${at} ${"x".repeat(100)}`);

/** Changes one byte of a file, durably. */
async function flip(disk: ReturnType<typeof memoryFs>, path: string, at: number): Promise<void> {
  const bytes = (await disk.readFile(path))!.slice();
  bytes[at]! ^= 0x10;
  await disk.unlink(path);
  const file = await disk.open(path, "create");
  file.write(bytes, 0);
  await file.sync();
  await file.close();
  await disk.syncDir(path.slice(0, path.lastIndexOf("/")));
}

async function segmentsOf(cluster: TestCluster, name: string, region: number): Promise<string[]> {
  const prefix = `r${String(region).padStart(5, "0")}-`;
  const names = await cluster.disk(name).list("data/sessions");
  return names.filter((file) => file.startsWith(prefix) && file.endsWith(".wal")).toSorted();
}

async function trio(): Promise<TestCluster> {
  const cluster = new TestCluster(["a", "b", "c"]);
  for (const name of ["a", "b", "c"]) await cluster.open(name, KEEPS);
  await cluster.timers.advance(50);
  for (let round = 0; round < 12; round++)
    for (const name of ["a", "b"]) await cluster.write(name, ...numbered(10, `${name}${round}-`));
  await cluster.timers.advance(1_000);
  return cluster;
}

test("WAL-11 scenario 5: damage in a foreign log is repaired from any member that holds it, while the region runs", async () => {
  for (const where of [0, 1, 2]) {
    await using cluster = await trio();
    const texts = cluster.node("a").state.texts();
    await cluster.stop("b");
    const segments = await segmentsOf(cluster, "b", 1);
    expect(segments.length).toBeGreaterThan(2);
    await flip(cluster.disk("b"), `data/sessions/${segments[where]!}`, 300);
    // The origin is gone: what is missing comes from the third member.
    await cluster.stop("a");
    const b = await cluster.open("b", KEEPS);
    const damaged = b.wal.logs().find(({ id }) => id.region === regionId(1))!;
    expect(damaged.failed?.code).toBe("WAL_CORRUPT");
    expect(b.replication.health().reasons.join()).toContain(`Log ${formatLogId(damaged.id)} is stopped`);
    await cluster.timers.advance(5_000);
    expect(damaged.failed, `segment ${where}`).toBeUndefined();
    expect(b.state.texts(), `segment ${where}`).toEqual(texts);
    expect(b.replication.metrics().logsRepaired).toBe(1);
    expect(b.replication.health().logs.some(({ state }) => state === "stopped")).toBe(false);
    // It goes on from there.
    await cluster.open("a", KEEPS);
    await cluster.write("a", "after");
    await cluster.timers.advance(3_000);
    expect(b.state.texts()).toHaveLength(texts.length + 1);
    expect((await cluster.timers.until(b.replication.requestCertificate(regionId(1)))).verdict).toBe("equal");
  }
});

test("WAL-11 scenario 5: damage that appears under a running region is found when it is read, and repaired", async () => {
  await using cluster = await trio();
  const disk = cluster.disk("b");
  const [segment] = await segmentsOf(cluster, "b", 1);
  const { replication, wal } = cluster.node("b");
  const id = wal.logs().find((log) => log.id.region === regionId(1))!.id;
  const file = await disk.open(`data/sessions/${segment!}`, "write");
  file.write(Uint8Array.of(1, 2, 3, 4), 500);
  await file.sync();
  await file.close();
  await cluster.timers.until(replication.rebuild());
  await cluster.timers.advance(5_000);
  expect(replication.metrics().logsRepaired).toBe(1);
  expect(cluster.node("b").state.texts()).toEqual(cluster.node("a").state.texts());
  for await (const batch of wal.log(id)!.read(1)) void batch;
});

test("WAL-8 a write of a foreign log that failed is repaired without reopening anything", async () => {
  await using cluster = await trio();
  const disk = cluster.disk("b");
  disk.failSync();
  await cluster.write("a", "not stored");
  await cluster.timers.advance(20);
  await cluster.timers.advance(10_000);
  const { replication, state, wal } = cluster.node("b");
  expect(wal.logs().filter(({ failed }) => failed !== undefined)).toEqual([]);
  expect(state.texts()).toEqual(cluster.node("a").state.texts());
  expect(replication.metrics().logsRepaired).toBe(1);
});

test("SES-18 where users have keys, a state whose log is damaged is compared with none until the log is repaired", async () => {
  await using cluster = await trio();
  await cluster.stop("b");
  await cluster.stop("a");
  const encrypted: NodeOptions = { ...KEEPS, keys: () => new Uint8Array(64) };
  for (const segment of (await segmentsOf(cluster, "b", 1)).slice(0, 1)) {
    await flip(cluster.disk("b"), `data/sessions/${segment}`, 300);
    await flip(cluster.disk("c"), `data/sessions/${segment}`, 300);
  }
  await cluster.stop("c");
  // Nobody is there who has what both lack.
  const [b, c] = [await cluster.open("b", encrypted), await cluster.open("c", KEEPS)];
  await cluster.timers.advance(3_000);
  await expect(cluster.timers.until(b.replication.requestCertificate(regionId(3)))).rejects.toMatchObject({
    code: "REQUEST_REFUSED",
  });
  await expect(cluster.timers.until(c.replication.requestCertificate(regionId(2)))).rejects.toMatchObject({
    code: "REQUEST_REFUSED",
  });
  await cluster.open("a", KEEPS);
  await cluster.timers.advance(20_000);
  expect((await cluster.timers.until(c.replication.requestCertificate(regionId(2)))).verdict).toBe("equal");
});

test("WAL-11 an own epoch that is over is repaired as well; its numbers are never issued again", async () => {
  await using cluster = await trio();
  const texts = cluster.node("a").state.texts();
  const before = cluster.node("a").replication.ownLogs("sessions")[0]!;
  const last = cluster.node("a").replication.vector().lsnOf(before);
  await cluster.stop("a");
  const segments = await segmentsOf(cluster, "a", 1);
  await flip(cluster.disk("a"), `data/sessions/${segments[1]!}`, 300);
  const a = await cluster.open("a", KEEPS);
  await cluster.timers.advance(50);
  await cluster.write("a", "goes on");
  await cluster.timers.advance(5_000);
  expect(a.wal.log(before)!.failed).toBeUndefined();
  expect(a.state.texts()).toEqual([...texts, "goes on"].toSorted());
  expect(a.replication.vector().lsnOf(before)).toBe(last);
  expect(a.replication.ownLogs("sessions")[0]!.epoch).toBeGreaterThan(before.epoch);
});

test("REP-4 scenario 50: the last acknowledged batch rots at the tail: told from a torn one by a peer, got back, never reissued", async () => {
  await using cluster = await trio();
  const own = cluster.node("a").replication.ownLogs("sessions")[0]!;
  const { lsn } = await cluster.writeOne("a", "the last one");
  await cluster.timers.advance(2_000);
  const { transport, replication } = cluster.node("a");
  await transport.close();
  const image = await copyDisk(cluster.disk("a"));
  void replication.close();
  cluster.nodes.delete("a");
  cluster.disks.set("a", image);
  const segment = (await segmentsOf(cluster, "a", 1)).at(-1)!;
  const bytes = (await image.readFile(`data/sessions/${segment}`))!;
  let end = bytes.length;
  while (bytes[end - 1] === 0) end -= 1;
  await flip(image, `data/sessions/${segment}`, end - 1);
  const a = await cluster.open("a", KEEPS);
  await cluster.timers.advance(5_000);
  const again = await cluster.writeOne("a", "a new one");
  await cluster.timers.advance(5_000);
  expect(a.state.texts()).toEqual(cluster.node("b").state.texts());
  expect(a.state.texts()).toContain("the last one");
  expect(a.wal.log(own)!.durable.lsn).toBe(lsn);
  expect(again.log.epoch).toBeGreaterThan(own.epoch);
  expect(a.replication.health().forks).toEqual([]);
});
