import { type Kv, type KvCommit, KvError, type KvKey, type KvPage } from "@tidemark/kv";
import type { KvWorker } from "../src/index.ts";
import type { Planted } from "./memory-fixture.ts";

type Get = Kv["get"];
type Scan = Kv["scan"];
type Commit = Kv["commit"];
type Watch = NonNullable<Kv["watch"]>;

/** Lets everything else that is ready go first. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const never = (): Promise<never> => new Promise(() => undefined);

const planted = (kv: NonNullable<Planted["kv"]>) => (): Planted => ({ kv });
const commits = (make: (inner: Kv, ...given: Parameters<Commit>) => ReturnType<Commit>) =>
  planted((inner) => ({ commit: async (...given) => make(inner, ...given) }));
const gets = (make: (inner: Kv, ...given: Parameters<Get>) => ReturnType<Get>) =>
  planted((inner) => ({ get: async (...given) => make(inner, ...given) }));
const scans = (make: (inner: Kv, ...given: Parameters<Scan>) => ReturnType<Scan>) =>
  planted((inner) => ({ scan: async (...given) => make(inner, ...given) }));
const watches = (make: (inner: Kv, ...given: Parameters<Watch>) => AsyncIterable<void>) =>
  planted((inner) => ({ watch: (...given) => make(inner, ...given) }));

/** A store whose partitions and keys go through a function that makes some of them one. */
const renamed = (partition: (name: string) => string, key: (key: KvKey) => KvKey = (same) => same) =>
  planted((inner) => ({
    get: (name, keys, ...rest) => inner.get(partition(name), keys.map(key), ...rest),
    scan: (name, ...rest) => inner.scan(partition(name), ...rest),
    commit: (name, { checks = [], puts = [], deletes = [] }, ...rest) =>
      inner.commit(
        partition(name),
        {
          checks: checks.map((check) => ({ ...check, key: key(check.key) })),
          puts: puts.map((put) => ({ ...put, key: key(put.key) })),
          deletes: deletes.map(key),
        },
        ...rest,
      ),
  }));

/** A commit that judges its checks by reads of their own, and writes afterwards. */
async function checkThenWrite(inner: Kv, partition: string, commit: KvCommit) {
  const { checks = [], ...writes } = commit;
  for (const [failed, { key, value }] of checks.entries()) {
    const [stored] = await inner.get(partition, [key]);
    if (String(stored) !== String(value)) return { committed: false, failed } as const;
  }
  await turn();
  return inner.commit(partition, writes);
}

/** Reads of several keys that are reads of one, one after another. */
async function oneByOne(inner: Kv, ...[partition, keys, options]: Parameters<Get>): ReturnType<Get> {
  const values: (Uint8Array | undefined)[] = [];
  for (const key of keys) values.push(...(await inner.get(partition, [key], options)));
  return values;
}

/** A watch of which each step can be made otherwise. */
async function* steps(inner: AsyncIterable<void>, each: () => Promise<void>): AsyncGenerator<void> {
  for await (const _ of inner) {
    await each();
    yield;
  }
}

/** A worker that another function kills. */
const killedBy = (worker: KvWorker, kill: (worker: KvWorker) => void): KvWorker => ({
  ...worker,
  kill: () => kill(worker),
});

const withLimits = (limits: Partial<Kv["capabilities"]>) =>
  planted((inner) => ({
    commit: async (partition, commit, options) => {
      const { checks = [], puts = [] } = commit;
      const large = [...checks, ...puts].some(
        ({ value }) => (value?.length ?? 0) > (limits.valueBytesMax ?? Infinity),
      );
      const many = puts.length > (limits.keysPerCommitMax ?? Infinity);
      const bytes = puts.reduce((sum, put) => sum + put.key.length + put.value.length, 0);
      if (large || many || bytes > (limits.commitBytesMax ?? Infinity)) {
        throw new KvError("KV_TOO_LARGE", "Cannot take so much");
      }
      return inner.commit(partition, commit, options);
    },
  }));

/** For each check one bug that it must see, made anew for each run: bugs may have state. */
export const DEFECTS: Readonly<Record<string, () => Planted>> = {
  "RUN-11 capabilities are the claims that were pinned": planted((inner) => ({
    capabilities: { ...inner.capabilities, durability: "region" },
  })),

  "get() reads what was put, by either handle": commits((inner, partition, { deletes: _, ...rest }) =>
    inner.commit(partition, rest),
  ),
  "get() gives values in the order asked for": gets((inner, partition, keys) =>
    inner.get(partition, keys.toSorted(Buffer.compare)),
  ),
  "an empty value is not the same as none": gets(async (inner, ...given) =>
    (await inner.get(...given)).map((value) => (value?.length === 0 ? undefined : value)),
  ),
  "partitions that look alike are kept apart": renamed((name) => name.normalize("NFC")),
  "keys of any bytes are kept apart": renamed(
    (name) => name,
    // Each byte that is no text becomes one character, of three bytes.
    (key) =>
      new TextEncoder().encode(new TextDecoder("utf-8", { ignoreBOM: true }).decode(key.subarray(0, 300))),
  ),
  "bytes are copied in and out": commits(async (inner, ...given) => {
    await turn();
    return inner.commit(...given);
  }),
  "a view is the bytes of the view": commits((inner, partition, { puts = [], ...rest }) =>
    inner.commit(partition, {
      ...rest,
      puts: puts.map(({ key, value }) => ({ key, value: new Uint8Array(value.buffer) })),
    }),
  ),
  "get() is one consistent view": gets(oneByOne),
  "a page is one consistent view": scans(async (inner, partition, range) => {
    const { items, ...rest } = await inner.scan(partition, range);
    await turn();
    const values = await inner.get(
      partition,
      items.slice(1).map(({ key }) => key),
    );
    return {
      ...rest,
      items: items.map((item, index) => ({ ...item, value: values[index - 1] ?? item.value })),
    };
  }),

  "scan() holds to prefix, start and end": scans(async (inner, partition, range) => {
    const page = await inner.scan(partition, range);
    const { start } = range;
    return { ...page, items: page.items.filter(({ key }) => String(key) !== String(start)) };
  }),
  "scan() in reverse gives the same from the end": scans(async (inner, partition, range) => {
    const { items } = await inner.scan(partition, { ...range, reverse: false });
    return { items };
  }),
  "scan() goes on page by page, in both directions": scans(async (inner, partition, range) => {
    const page = await inner.scan(partition, range);
    // The last key of the page, in both directions: right only in reverse.
    return page.next === undefined ? page : { ...page, next: page.items.at(-1)!.key };
  }),
  "scan() limits a page": scans((inner, partition, range) =>
    inner.scan(partition, { limit: 10_000, ...range }),
  ),
  "scan() goes on through large values": scans(async (inner, partition, range): Promise<KvPage> => {
    const { items } = await inner.scan(partition, range);
    return { items };
  }),

  "commit() judges every kind of check": commits(async (inner, partition, { checks = [], ...rest }) => {
    // Compares as many bytes as the check has.
    const judged = await Promise.all(
      checks.map(async ({ key, value }) => {
        const [stored] = await inner.get(partition, [key]);
        return { key, value: value === undefined ? value : (stored?.subarray(0, value.length) ?? value) };
      }),
    );
    return inner.commit(partition, { ...rest, checks: judged });
  }),
  "commit() changes nothing if a check fails": commits(
    async (inner, partition, { checks = [], ...writes }) => {
      const result = await inner.commit(partition, { checks });
      await inner.commit(partition, writes);
      return result;
    },
  ),
  "commit() is all or nothing": commits(async (inner, partition, { checks = [], ...writes }) => {
    const result = await inner.commit(partition, { checks: checks.slice(0, 1) });
    if (!result.committed) return result;
    await inner.commit(partition, writes);
    return inner.commit(partition, { checks: checks.slice(1) });
  }),
  "commit() checks what it writes before it writes": commits(
    async (inner, partition, { checks = [], puts = [], deletes = [] }) => {
      await inner.commit(partition, { puts, deletes });
      return inner.commit(partition, { checks });
    },
  ),
  "commit() takes commits without checks or writes": commits(async (inner, partition, commit, options) => {
    if (Object.keys(commit).length === 0) throw new KvError("KV_UNSUPPORTED", "A commit must do something");
    return inner.commit(partition, commit, options);
  }),
  "commit() refuses a key twice": commits(
    (inner, partition, { puts = [], deletes = [], ...rest }, options) => {
      const last = new Map(puts.map((put) => [String(put.key), put]));
      const others = deletes.filter((key) => !last.has(String(key)));
      return inner.commit(partition, { ...rest, puts: [...last.values()], deletes: others }, options);
    },
  ),
  "random histories follow a sorted map": commits(async (inner, partition, commit, options) => {
    const { deletes = [] } = commit;
    // Forgets the second of two deletes.
    return inner.commit(partition, { ...commit, deletes: deletes.slice(0, 1) }, options);
  }),

  "a value at the limit is taken, one beyond is KV_TOO_LARGE": withLimits({
    valueBytesMax: 1_024 * 1_024 - 1,
  }),
  "keys of a commit are limited": withLimits({ keysPerCommitMax: 100 }),
  "bytes of a commit are limited": withLimits({ commitBytesMax: 2 * 1_024 * 1_024 - 1 }),
  "keys and partitions are limited": gets(async (inner, partition, keys, options) =>
    inner.get(partition === "" ? "none" : partition, keys, options),
  ),
  "what is not claimed is KV_UNSUPPORTED": gets(oneByOne),
  "nowMs() is a clock that handles agree on": planted((inner, handle) => ({
    nowMs: async () => (await inner.nowMs()) + handle * 3_600_000,
  })),

  "C-36 of commits at once on one register exactly one wins": commits(checkThenWrite),
  "increments by two handles add up": commits(checkThenWrite),
  "there is no write skew": commits((inner, partition, { checks = [], puts = [], ...rest }) => {
    // Watches only the keys that it writes.
    const written = new Set(puts.map(({ key }) => String(key)));
    const watched = checks.filter(({ key }) => written.has(String(key)));
    return inner.commit(partition, { ...rest, puts, checks: watched });
  }),
  "a read sees every commit before it": () => {
    const late: (() => Promise<unknown>)[] = [];
    return {
      kv: (inner) => ({
        // Of the second commit and every other one after it, the writes come with the next call.
        commit: async (...given) => {
          for (const write of late.splice(0)) await write();
          if ((given[1].puts?.[0]?.value[3] ?? 0) % 2 === 1) return inner.commit(...given);
          late.push(() => inner.commit(...given));
          return { committed: true };
        },
      }),
    };
  },
  "commits to other partitions do not disturb": renamed((name) => name.replace(/^apart.*/, "apart")),

  "watch() tells of puts and deletes": planted((inner) => ({
    watch: (partition, prefix, options) =>
      // Takes the prefix for a key of the next longer kind.
      inner.watch!(partition, prefix.length === 2 ? Uint8Array.of(...prefix, 0x31) : prefix, options),
  })),
  "watch() loses no wake-up": watches((inner, ...given) => {
    // Hears only while somebody asks.
    const once = async (): Promise<IteratorResult<void>> => {
      const watch = inner.watch!(...given)[Symbol.asyncIterator]();
      await watch.next();
      const heard = await watch.next();
      await watch.return?.();
      return heard;
    };
    let began = false;
    const next = async (): Promise<IteratorResult<void>> => {
      if (began) return once();
      began = true;
      return { done: false, value: undefined };
    };
    return { [Symbol.asyncIterator]: () => ({ next }) };
  }),
  "watch() shows who looks the last change": watches((inner, ...given) => {
    let rings = 0;
    return steps(inner.watch!(...given), () => (++rings > 3 ? never() : Promise.resolve()));
  }),
  "watch() makes one of many changes": () => {
    const waiting = new Set<{ rings: number; wake: () => void }>();
    return {
      kv: (inner) => ({
        commit: async (...given) => {
          for (const one of waiting) {
            one.rings += 1;
            one.wake();
          }
          return inner.commit(...given);
        },
        async *watch() {
          const own = { rings: 1, wake: () => {} };
          waiting.add(own);
          for (;;) {
            if (own.rings === 0) await new Promise<void>((resolve) => (own.wake = resolve));
            own.rings -= 1;
            yield;
          }
        },
      }),
    };
  },
  "leaving the loop ends a watch": watches((inner, ...given) => steps(inner.watch!(...given), turn)),
  "close() ends watches": planted((inner) => ({ close: async () => void inner.capabilities })),
  "an abort ends a watch": watches((inner, partition, prefix) => inner.watch!(partition, prefix)),

  "close() is idempotent": () => {
    let closed = false;
    return {
      kv: (inner) => ({
        close: async () => {
          if (closed) throw new KvError("KV_CLOSED", "Cannot close twice");
          closed = true;
          await inner.close();
        },
      }),
    };
  },
  "a closed store rejects every call": planted((inner) => ({
    nowMs: async () => inner.capabilities.keysPerCommitMax,
  })),
  "close() settles what is pending": () => {
    let closed = false;
    return {
      kv: (inner) => ({
        commit: async (...given) => {
          await turn();
          return closed ? never() : inner.commit(...given);
        },
        close: async () => {
          closed = true;
          await inner.close();
        },
      }),
    };
  },
  "close() of one handle leaves the other open": () => {
    const handles: Kv[] = [];
    return {
      kv: (inner) => {
        handles.push(inner);
        return { close: async () => void (await Promise.all(handles.map((handle) => handle.close()))) };
      },
    };
  },
  "an aborted signal stops every call": commits(async (inner, partition, commit, options) => {
    const result = await inner.commit(partition, commit);
    options?.signal?.throwIfAborted();
    return result;
  }),
  "an abort in the middle of a call settles it": gets(async (inner, partition, keys, options) => {
    await turn();
    if (options?.signal?.aborted === true) return never();
    return inner.get(partition, keys, options);
  }),
  "the documented order of errors decides": gets(async (inner, partition, keys, options) => {
    if (partition === "") throw new RangeError("partition must not be empty");
    return inner.get(partition, keys, options);
  }),

  "RUN-11 C-86 every acknowledged commit is there after opening again": commits(
    (inner, partition, commit) => {
      // Acknowledges, and writes commits one by one to a disk that never syncs the last.
      const last = commit.puts?.[0]?.value[3] === 20;
      return last ? Promise.resolve({ committed: true }) : inner.commit(partition, commit);
    },
  ),
  "C-11 a store of another version is refused and left as it is": () => ({
    // Takes a newer store for its own.
    fixture: ({ setVersion }) => ({ setVersion: (version) => setVersion!(Math.min(version, 3)) }),
  }),
  "RUN-11 every acknowledged commit survives kill -9, whole": () => ({
    fixture: ({ kv, spawn }) => ({
      // What the killed process wrote last was still in its own memory.
      spawn: (task) =>
        killedBy(spawn!(task), (worker) => {
          worker.kill();
          void worker.exited.then(async () => {
            const { items } = await kv.scan(task.partition, { reverse: true, limit: 1 });
            await kv.commit(task.partition, { deletes: items.map(({ key }) => key) });
          });
        }),
    }),
  }),
  "two processes add up 3,000 increments": commits(checkThenWrite),
};
