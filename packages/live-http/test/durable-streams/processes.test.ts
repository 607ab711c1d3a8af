import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Kv } from "@tidemark/kv";
import { openLmdbKv } from "@tidemark/kv-lmdb";
import { openRedisKv } from "@tidemark/kv-redis";
import { startRedis } from "@tidemark/servers";
import { expect, onTestFinished, test } from "vitest";
import { openStreams, send, TEXT } from "./support.ts";

const APPENDS = 30;
const TYPESCRIPT = ["--conditions=@tidemark/source", "--import", "tsx"];
const PROGRAM = fileURLToPath(new URL("append-program.ts", import.meta.url));

const STORES: Readonly<Record<string, () => Promise<{ readonly store: string; readonly kv: Kv }>>> = {
  async LMDB() {
    const place = mkdtempSync(join(tmpdir(), "tidemark-live-http-"));
    onTestFinished(() => rmSync(place, { recursive: true, force: true }));
    const store = join(place, "store");
    return { store, kv: await openLmdbKv({ dir: store }) };
  },
  async Redis() {
    const server = await startRedis();
    onTestFinished(() => server.remove());
    return { store: server.url, kv: await openRedisKv({ connection: server.url }) };
  },
};

for (const [name, open] of Object.entries(STORES)) {
  test(`durableStreams() LIV-10 two processes append to one stream over ${name}, one is killed, and a reader sees each append once`, async () => {
    const { store, kv } = await open();
    onTestFinished(() => kv.close());
    const handle = openStreams({ kv });
    await send(handle, "PUT", "/shared", { headers: TEXT });
    const [text] = await Promise.all([
      follow(handle, 2 * APPENDS),
      appendAll(store, "a", [11]),
      appendAll(store, "b", []),
    ]);
    const lines = text.trim().split("\n");
    for (const id of ["a", "b"]) {
      const own = lines.filter((line) => line.startsWith(id));
      expect(own).toEqual(Array.from({ length: APPENDS }, (_, sequence) => `${id}${sequence}`));
    }
    expect(lines).toHaveLength(2 * APPENDS);
  }, 60_000);
}

/** Appends all of a producer, by one process after the other: each is killed after so many answers. */
async function appendAll(store: string, id: string, kills: readonly number[]): Promise<void> {
  let next = 0;
  let lastOffset = "";
  for (const after of [...kills, Number.POSITIVE_INFINITY]) {
    const child = spawn(process.execPath, [...TYPESCRIPT, PROGRAM, store, id, `${next}`, `${APPENDS}`], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, NODE_OPTIONS: "" },
    });
    onTestFinished(() => void child.kill("SIGKILL"));
    const ended = once(child, "close");
    for await (const line of createInterface({ input: child.stdout })) {
      const [status, sequence, offset] = line.split(" ") as [string, string, string];
      // The first append of a new process may be one that the last had done, and not been answered for.
      expect(status === "200" || (status === "204" && Number(sequence) === next), line).toBe(true);
      expect(offset >= lastOffset, `${offset} comes after ${lastOffset}`).toBe(true);
      lastOffset = offset;
      next = Number(sequence) + 1;
      if (next >= after) kill(child);
    }
    await ended;
  }
  expect(next).toBe(APPENDS);
}

function kill(child: ChildProcess): void {
  child.kill("SIGKILL");
}

/** Reads by long-polls until so many lines have come. */
async function follow(handle: ReturnType<typeof openStreams>, lines: number): Promise<string> {
  let text = "";
  let offset = "-1";
  while (text.split("\n").length <= lines) {
    const response = await send(handle, "GET", `/shared?offset=${offset}&live=long-poll`);
    text += await response.text();
    offset = response.headers.get("stream-next-offset")!;
  }
  return text;
}
