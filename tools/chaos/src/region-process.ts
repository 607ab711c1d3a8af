// One region in a process of its own: opened, driven and closed by messages from the parent, and gone when that is.
import type { Region, Session, WriteResult } from "@tidemark/region";
import { openRegion } from "@tidemark/region/node";
import { finalState, shownSession } from "@tidemark/simulator";
import type { Transport } from "@tidemark/transport";
import type { FromRegion, RegionCalls, RegionPlan, ToRegion, WriteRequest } from "./protocol.ts";

let region: Region | undefined;

const CALLS: RegionCalls = {
  open: async (plan) => {
    region = await openRegion({
      name: plan.name,
      dir: plan.dir,
      members: plan.members,
      bootstrap: plan.bootstrap,
      clusterKey: plan.clusterKey,
      transport: await openTransport(plan),
    });
  },
  ready: (timeoutMs) => region!.ready({ timeoutMs }),
  start: async (id, user, operationId) => {
    await region!.sessions.start({ id, user, agent: "scout", operationId });
  },
  write: async (session, user, request, operationId) =>
    submit(await region!.users.get(user).session(session), request, operationId),
  read: async (user, asked) => region!.users.get(user).filterVisible(asked),
  state: async (id) => {
    const session = region!.sessions.get(id);
    return session === undefined ? undefined : shownSession(session.state());
  },
  cursor: async (session) => region!.sessions.get(session)?.cursor().toString(),
  ticket: async (user) => region!.users.get(user).ticket().toString(),
  resumeCursor: async (session, cursor, timeoutMs) => {
    await region!.sessions.resume(session, { cursor, timeoutMs });
  },
  resumeTicket: async (user, ticket, timeoutMs) => {
    await region!.users.resume(user, { ticket, timeoutMs });
  },
  synced: (timeoutMs) => region!.synced({ timeoutMs }),
  final: async (events) => finalState(region!, events, {}),
  close: () => region!.close(),
};

process.on("message", (message) => void receive(message as ToRegion));
// Without a parent nobody reads the answers.
process.on("disconnect", () => process.exit(0));

async function receive({ id, call, args }: ToRegion): Promise<void> {
  try {
    const run = CALLS[call] as (...args: readonly unknown[]) => Promise<unknown>;
    reply({ id, value: await run(...args) });
  } catch (error) {
    const { message, code } = error as { message: string; code?: string };
    reply({ id, error: code === undefined ? { message } : { message, code } });
  }
}

function reply(message: FromRegion): void {
  process.send?.(message);
}

async function openTransport({ broker, url, name }: RegionPlan): Promise<Transport> {
  if (broker === "nats") {
    const { openNatsTransport } = await import("@tidemark/transport-nats");
    return openNatsTransport({
      servers: url,
      provision: "create",
      // A server's own address would be a way around the link that is cut.
      options: { name, ignoreClusterUpdates: true, reconnectTimeWait: 50, reconnectJitter: 50 },
    });
  }
  const { openRedisTransport } = await import("@tidemark/transport-redis");
  return openRedisTransport({ connection: url, blockMs: 500, replyTimeoutMs: 1_000 });
}

function submit(session: Session, request: WriteRequest, operationId: string): Promise<WriteResult> {
  switch (request.operation) {
    case "annotate":
      return session.annotate(request.text, { operationId });
    case "signal":
      return session.signal(request.entity, "save", request.weight, {
        operationId,
        eventTimeMs: request.eventTimeMs,
      });
    case "prefer":
      return session.prefer(request.key, request.value, { operationId });
    default:
      return session[request.operation](request.item, { operationId });
  }
}
