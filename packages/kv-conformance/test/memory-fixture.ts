import { KvError, openMemoryKv, type Kv, type MemoryKvOptions } from "@tidemark/kv";
import type { KvFixture, KvTask, KvWorker } from "../src/index.ts";
import { runKvTask } from "../src/index.ts";

/** What a double makes of a handle, or of the whole store: only what it gives is replaced. */
export interface Planted {
  /** Members of a handle; `handle` counts them from 0. */
  readonly kv?: (inner: Kv, handle: number) => Partial<Kv>;
  /** Members of the fixture. */
  readonly fixture?: (inner: KvFixture) => Partial<KvFixture>;
}

const VERSION = 3;

/** Puts other members before those of an object that may be a class with private fields. */
function withMembers<Whole extends object>(inner: Whole, members: Partial<Whole>): Whole {
  return new Proxy(inner, {
    get(target, name) {
      if (Object.hasOwn(members, name)) return members[name as keyof Whole];
      const member: unknown = Reflect.get(target, name);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

/** Opens a store in memory as a fixture with every hook; its "processes" are loops over a handle of their own. */
export async function openMemoryFixture(options: MemoryKvOptions, planted: Planted = {}): Promise<KvFixture> {
  const memory = openMemoryKv(options);
  let version = VERSION;
  let handles = 0;
  const open = (): Kv => {
    const inner = memory.handle();
    // Told as durable, so that what only durable stores are held to is tried: the store outlives its handles.
    const capabilities = { ...inner.capabilities, durability: "disk" as const };
    return withMembers(inner, { capabilities, ...planted.kv?.(inner, handles++) });
  };
  const fixture: KvFixture = {
    kv: open(),
    openSecond: async () => open(),
    async reopen() {
      if (version === VERSION) return open();
      const message = `Cannot open a store of version ${version}: this program reads ${VERSION}`;
      throw new KvError("KV_STORE_VERSION", message, { actual: version, expected: VERSION });
    },
    async setVersion(given) {
      version = given;
    },
    spawn: (task) => startWorker(open(), task),
    close: () => memory.close(),
  };
  return withMembers(fixture, planted.fixture?.(fixture) ?? {});
}

/** Works at a task beside the test; killing it closes its handle, which ends it at its next call. */
function startWorker(kv: Kv, task: KvTask): KvWorker {
  const reports: number[] = [];
  let heard = (): void => {};
  let ended = false;
  const exited = (async () => {
    // Lets the test run between commits, as processes do.
    const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    const slow = withMembers(kv, {
      commit: async (...given) => {
        if (task.kind === "append") await turn();
        return kv.commit(...given);
      },
    });
    await runKvTask(slow, task, (number) => {
      reports.push(number);
      heard();
    });
    return 0;
  })()
    .catch(() => null)
    .finally(() => {
      ended = true;
      heard();
    });
  async function* told(): AsyncGenerator<number, void, undefined> {
    while (!ended || reports.length > 0) {
      const next = reports.shift();
      if (next === undefined) await new Promise<void>((resolve) => (heard = resolve));
      else yield next;
    }
  }
  return { reports: told(), exited, kill: () => void kv.close() };
}
