// One region in a process of its own: opened, driven and closed by messages from the parent, and gone when that is.
import type { OperationPosition, Region } from "@tidemark/region";
import { LocalRegion } from "./local-region.ts";
import { openMember, type MemberOptions } from "./member.ts";
import {
  crossing,
  type CallName,
  type FromRegion,
  type ProcessPlan,
  type RegionCalls,
  type ToRegion,
} from "./region-protocol.ts";
import { openTransport } from "./transports.ts";

/** A process that was killed with its parent may hold the lock for another moment. */
const LOCK_WAIT_MS = 10_000;
const LOCK_RETRY_MS = 100;

let driver: LocalRegion | undefined;
let applied: OperationPosition[] = [];
const waiting = new Map<number, AbortController>();

type Calls = {
  readonly [Name in CallName]: (
    args: Parameters<RegionCalls[Name]>,
    signal: AbortSignal,
  ) => ReturnType<RegionCalls[Name]>;
};

const CALLS: Calls = {
  open: ([plan]) => open(plan),
  ready: ([timeoutMs]) => driver!.ready(timeoutMs),
  close: () => driver!.close(),
  submit: ([operation, options]) => driver!.submit(operation, options),
  resume: ([user, ticket, wait], signal) => driver!.resume(user, ticket, { ...wait, signal }),
  ticket: ([user]) => driver!.ticket(user),
  filterVisible: ([user, items]) => driver!.filterVisible(user, items),
  withheld: ([user]) => driver!.withheld(user),
  users: ([ids]) => driver!.users(ids),
  sessions: ([ids]) => driver!.sessions(ids),
  health: () => driver!.health(),
  certificate: () => driver!.certificate(),
};

process.on("message", (message) => void receive(message as ToRegion));
// Without a parent nobody reads the answers; a terminal's interrupt is the parent's to act on.
process.on("disconnect", () => process.exit(0));
process.on("SIGINT", () => {});

async function receive(message: ToRegion): Promise<void> {
  if ("abort" in message) return waiting.get(message.abort)?.abort(new Error("The caller waits no longer"));
  const { id, call, args } = message;
  const controller = new AbortController();
  waiting.set(id, controller);
  try {
    const run = CALLS[call] as (args: readonly unknown[], signal: AbortSignal) => Promise<unknown>;
    const value = await run(args, controller.signal);
    reply({ id, value });
  } catch (error) {
    reply({ id, error: crossing(error) });
  } finally {
    waiting.delete(id);
  }
}

async function open({ broker, url, prefix, ...member }: ProcessPlan): Promise<void> {
  const transport = await openTransport(broker, { url, prefix, region: member.name });
  driver = new LocalRegion(await openUnlocked({ ...member, transport }), transport);
  driver.onApplied((place) => {
    if (applied.push(place) === 1) setImmediate(tell);
  });
}

async function openUnlocked(options: MemberOptions): Promise<Region> {
  const untilMs = performance.now() + LOCK_WAIT_MS;
  for (;;) {
    try {
      return await openMember(options);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "WAL_LOCKED" || performance.now() > untilMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, LOCK_RETRY_MS));
    }
  }
}

function reply(message: FromRegion): void {
  // A region says what it has applied before it answers the write that did it.
  tell();
  process.send?.(message);
}

function tell(): void {
  if (applied.length === 0) return;
  const message: FromRegion = { applied };
  applied = [];
  process.send?.(message);
}
