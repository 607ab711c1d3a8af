// A process of its own over a store: started by the tests, told what to do by its arguments.
import { writeSync } from "node:fs";
import { type Kv, KvError } from "@tidemark/kv";
import { openLmdbKv } from "../src/index.ts";

const [task, dir, ...rest] = process.argv.slice(2) as [string, string, ...string[]];
const utf8 = new TextEncoder();
// Straight to the descriptor: a line that is said is with the reader, however this process ends.
const say = (line: string): void => void writeSync(1, `${line}\n`);
const describe = (error: unknown): string =>
  error instanceof KvError
    ? `${error.code} ${error.committed} ${error.retryable} ${error.actual}`
    : String(error);

// Who started it may end while a tracer stands between: then this process ends too.
process.stdin.on("end", () => process.exit(3));
const input = process.stdin;
input.resume();
input.unref();

const tasks: Record<string, () => Promise<void>> = { commits, holds, opens, fills, watches, adds };
await tasks[task]!().catch((error: unknown) => {
  say(`failed ${describe(error)}`);
  process.exitCode = 1;
});

/** Commits for ever, several at once; says each number once it is acknowledged. Every commit writes two rows. */
async function commits(): Promise<void> {
  const kv = await openLmdbKv({ dir });
  const [first, callers] = rest.map(Number) as [number, number];
  let next = first;
  say("ready");
  await Promise.all(
    Array.from({ length: callers }, async () => {
      while (true) {
        const number = next++;
        const value = utf8.encode("x".repeat(number % 3_000));
        say(`try ${number}`);
        await kv.commit(`p${number % 5}`, {
          puts: [
            { key: utf8.encode(`a${number}`), value },
            { key: utf8.encode(`b${number}`), value },
          ],
        });
        say(`ack ${number}`);
      }
    }),
  );
}

/** Stops inside a write transaction, behind the back of the package, with a row written and not committed. */
async function holds(): Promise<void> {
  const { open } = await import("lmdb");
  const rows = open({ path: dir, encoding: "binary", keyEncoding: "binary", overlappingSync: false });
  rows.transactionSync(() => {
    rows.putSync(utf8.encode("\0\u0001pheld"), utf8.encode("half"));
    say("held");
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });
}

/** Opens at a word, and says what became of it. */
async function opens(): Promise<void> {
  say("ready");
  await lineOfInput();
  await using kv = await openLmdbKv({ dir });
  say(`opened ${kv.capabilities.durability}`);
}

/** Commits a number of rows, one by one or `together`, whatever happens; says what each came to. */
async function fills(): Promise<void> {
  const [count, valueBytes, ...flags] = rest as [string, string, ...string[]];
  let kv: Kv = await openLmdbKv({ dir });
  say("ready");
  if (flags.includes("wait")) await lineOfInput();
  say("begins");
  const fill = async (number: number): Promise<void> => {
    const puts = [{ key: utf8.encode(String(number)), value: new Uint8Array(Number(valueBytes)).fill(7) }];
    try {
      await kv.commit("p", { puts });
      say(`ack ${number}`);
    } catch (error) {
      say(`error ${number} ${describe(error)}`);
      if (error instanceof KvError && !error.retryable) {
        say(await kv.get("p", [puts[0]!.key]).then(() => "read", describe));
        await kv.close();
        kv = await openLmdbKv({ dir });
        say("reopened");
      }
    }
  };
  const numbers = Array.from({ length: Number(count) }, (_, number) => number);
  if (flags.includes("together")) await Promise.all(numbers.map(fill));
  else for (const number of numbers) await fill(number);
  await kv.close();
  say("closed");
}

/** Adds one to a register again and again, each time in a store that it opens anew; says how often once it is told to stop. */
async function adds(): Promise<void> {
  const key = utf8.encode("register");
  let stopped = false;
  let added = 0;
  say("ready");
  const stop = lineOfInput().then(() => (stopped = true));
  while (!stopped) {
    await using kv = await openLmdbKv({ dir });
    const [value] = await kv.get("p", [key]);
    const next = utf8.encode(String(Number(new TextDecoder().decode(value)) + 1));
    const { committed } = await kv.commit("p", { checks: [{ key, value }], puts: [{ key, value: next }] });
    if (committed) added += 1;
  }
  await stop;
  say(`added ${added}`);
}

/** Says each time that something may have changed. */
async function watches(): Promise<void> {
  await using kv = await openLmdbKv({ dir });
  for await (const _ of kv.watch!("p", utf8.encode("a"))) {
    const { items } = await kv.scan("p", { prefix: utf8.encode("a") });
    say(`seen ${items.length}`);
  }
}

function lineOfInput(): Promise<void> {
  input.ref();
  return new Promise((resolve) => {
    input.once("data", () => {
      input.unref();
      resolve();
    });
  });
}
