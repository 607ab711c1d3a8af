// One worker in a process of its own: driven by messages from the parent, and gone when that is.
import {
  LeaseGuard,
  openSessionStores,
  sessionPartition,
  type LeaseRecord,
  type LeaseTimers,
  type SessionStore,
  type WorkClaim,
  workCompletion,
} from "@tidemark/session-store";
import type { FromWorker, ToWorker, WorkerCalls } from "./protocol.ts";
import { openKv } from "./open-kv.ts";
import { SteeredKv } from "./steered-kv.ts";
import { workOn } from "./work-loop.ts";

let kv: SteeredKv | undefined;
let session: SessionStore;
let lease: LeaseRecord | undefined;
let claim: WorkClaim | undefined;

const TIMERS: LeaseTimers = {
  now: () => performance.now(),
  setTimer: (ms, run) => {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

const CALLS: WorkerCalls = {
  open: async (store, id) => {
    await kv?.close();
    claim = undefined;
    kv = new SteeredKv(await openKv(store));
    const stores = await openSessionStores({ kv });
    session = await stores.create({ id, model: "model-1" });
  },
  setClock: (offsetMs) => {
    kv!.clockOffsetMs = offsetMs;
    return Promise.resolve();
  },
  claimLease: async (owner, ttlMs) => (lease = await session.lease.claim({ owner, ttlMs })),
  keepLease: (ttlMs) => {
    const { signal } = new LeaseGuard(session.lease, lease!, { timers: TIMERS, ttlMs });
    return new Promise((resolve) => {
      signal.addEventListener("abort", () => resolve((signal.reason as { code: string }).code));
    });
  },
  enqueue: async (text) => {
    await session.work.enqueue({ items: [{ payload: text }] });
  },
  claimWork: async () => (claim = await session.work.claim({ fence: lease!, boundary: "idle", max: 1 })),
  commit,
  stopBeforeWriting: () => {
    kv!.beforeCommit = stop;
    return Promise.resolve();
  },
  work: (owner, ttlMs) => workOn(session, { owner, ttlMs }, (answered) => void tell({ answered })),
  dump: async () => {
    const { items } = await kv!.scan(sessionPartition(session.id), { limit: 10_000 });
    return items.map(({ key, value }) => [hex(key), hex(value)] as const);
  },
};

process.on("message", (message) => void receive(message as ToWorker));
// Without a parent nobody reads the answers.
process.on("disconnect", () => process.exit(0));

async function receive({ id, call, args }: ToWorker): Promise<void> {
  try {
    const run = CALLS[call] as (...args: readonly unknown[]) => Promise<unknown>;
    await tell({ id, value: await run(...args) });
  } catch (error) {
    const { message, code } = error as { message: string; code?: string };
    await tell({ id, error: code === undefined ? { message } : { message, code } });
  }
}

async function commit(turn: string): Promise<number> {
  const { revision } = await session.commit({
    session: session.id,
    expected: "any",
    lease: lease!,
    config: { provider: "provider-1", model: "model-1" },
    graph: { type: "append", nodes: [{ id: turn, timestamp: 0, payload: turn }], leaf: turn },
    turn: { session: session.id, turn },
    ...(claim === undefined ? {} : { completed: [workCompletion(claim)] }),
  });
  return revision;
}

/** Stops this process, as a machine that is short of memory would; the parent wakes it. */
async function stop(): Promise<void> {
  await tell({ stopping: true });
  process.kill(process.pid, "SIGSTOP");
}

/** Resolves when the parent has it. */
function tell(message: FromWorker): Promise<void> {
  return new Promise((resolve) => {
    process.send?.(message, () => resolve());
  });
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
