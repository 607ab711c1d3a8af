import { decodeKey, type KvCheck, type KvItem, type KvKey } from "@tidemark/kv";
import { runDecision, viewOf } from "./decision.ts";
import { asSessionStoreError, SessionStoreError } from "./errors.ts";
import { sessionKeys } from "./keys.ts";
import { scanAll } from "./scan-all.ts";
import { mintId, type SessionContext } from "./session-context.ts";
import { type SessionGate, sessionDeleted, sessionGateRecord } from "./session-gate.ts";
import { guardMeta, type SessionMeta, sessionMetaRecord } from "./session-meta.ts";

/** Puts and deletes of one commit, when what is written is more than one holds. */
const PAGE_KEYS_MAX = 256;
const PAGE_BYTES_MAX = 512 * 1024;

/**
 * Makes a session of its meta alone, or finds it made: then nothing changes.
 *
 * @returns Whether it was made by this call.
 * @throws {@link SessionStoreError} `SESSION_DELETED`: an id is used once.
 */
export function makeSession(
  context: SessionContext,
  metaOf: (createdAt: string) => SessionMeta,
): Promise<boolean> {
  const { kv, records, session } = context;
  const key = sessionKeys.gate;
  return runDecision(
    kv,
    records.partition,
    (view) => view.get([key]),
    ([bytes], nowMs) => {
      const gate = sessionGateRecord.read(bytes, key, records);
      if (gate?.state === "deleted") throw sessionDeleted(session);
      const made = gate === undefined || gate.state === "making";
      const meta = guardMeta(metaOf(new Date(nowMs).toISOString()));
      const puts = [
        sessionGateRecord.item({ state: "open", sinceMs: nowMs }, key, records),
        sessionMetaRecord.item(meta, sessionKeys.meta, records),
      ];
      return { checks: [{ key, value: bytes }], puts: made ? puts : [], deletes: [], result: made };
    },
  );
}

/**
 * Makes a session of many records: all of them are there once its gate is open, and before it nobody sees any. Of two
 * that make one session the later wins, and the other is `BUSY`.
 *
 * @returns Whether it was made by this call; `false` if it was there.
 */
export async function makeSessionOf(
  context: SessionContext,
  metaOf: (createdAt: string) => SessionMeta,
  items: readonly KvItem[],
): Promise<boolean> {
  const gate = await beginMaking(context);
  if (gate === undefined) return false;
  await clear(context, gate);
  for (const puts of pagesOf(items, ({ key, value }) => key.length + value.length)) {
    await write(context, { checks: [gate], puts });
  }
  const nowMs = await context.kv.nowMs();
  const { records } = context;
  const meta = guardMeta(metaOf(new Date(nowMs).toISOString()));
  await write(context, {
    checks: [gate],
    puts: [
      sessionGateRecord.item({ state: "open", sinceMs: nowMs }, sessionKeys.gate, records),
      sessionMetaRecord.item(meta, sessionKeys.meta, records),
    ],
  });
  return true;
}

/**
 * Deletes a session for ever: from the first step on nobody reads or writes it, then its records go. Called again it
 * finishes what was interrupted.
 *
 * @returns Whether there is, or was, such a session.
 */
export async function deleteSession(context: SessionContext): Promise<boolean> {
  const { kv, records } = context;
  const key = sessionKeys.gate;
  const gate = await runDecision(
    kv,
    records.partition,
    (view) => view.get([key]),
    ([bytes], nowMs) => {
      const found = sessionGateRecord.read(bytes, key, records);
      if (found === undefined || found.state === "deleted") {
        return { checks: [], puts: [], deletes: [], result: bytes };
      }
      const item = sessionGateRecord.item({ state: "deleted", sinceMs: nowMs }, key, records);
      return { checks: [{ key, value: bytes }], puts: [item], deletes: [], result: item.value };
    },
  );
  if (gate === undefined) return false;
  await clear(context, { key, value: gate });
  return true;
}

/** Takes the gate of a session that is not there; `undefined` if it is. */
function beginMaking(context: SessionContext): Promise<KvCheck | undefined> {
  const { kv, records, session } = context;
  const key = sessionKeys.gate;
  return runDecision(
    kv,
    records.partition,
    (view) => view.get([key]),
    ([bytes], nowMs) => {
      const found = sessionGateRecord.read(bytes, key, records);
      if (found?.state === "deleted") throw sessionDeleted(session);
      if (found !== undefined && found.state !== "making") {
        return { checks: [], puts: [], deletes: [], result: undefined };
      }
      const gate: SessionGate = { state: "making", sinceMs: nowMs, maker: mintId(context) };
      const item = sessionGateRecord.item(gate, key, records);
      return { checks: [{ key, value: bytes }], puts: [item], deletes: [], result: item };
    },
  );
}

/** Removes every record but the gate, for as long as the gate stays as it is. */
async function clear(context: SessionContext, gate: KvCheck): Promise<void> {
  const items = await scanAll(viewOf(context.kv, context.records.partition), {});
  const keys = items.map(({ key }) => key).filter((key) => decodeKey(key)[0] !== "gate");
  for (const deletes of pagesOf(keys, (key) => key.length)) await write(context, { checks: [gate], deletes });
}

async function write(
  { kv, records, session }: SessionContext,
  commit: { readonly checks: KvCheck[]; readonly puts?: KvItem[]; readonly deletes?: KvKey[] },
): Promise<void> {
  try {
    const { committed } = await kv.commit(records.partition, commit);
    if (committed) return;
  } catch (error) {
    throw asSessionStoreError(error);
  }
  throw new SessionStoreError("BUSY", `Cannot make session ${session}: somebody else makes or deletes it`, {
    session,
  });
}

function pagesOf<Item>(items: readonly Item[], bytesOf: (item: Item) => number): Item[][] {
  const pages: Item[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const item of items) {
    bytes += bytesOf(item);
    const page = pages.at(-1);
    if (page === undefined || page.length === PAGE_KEYS_MAX || bytes > PAGE_BYTES_MAX) {
      pages.push([item]);
      bytes = bytesOf(item);
    } else {
      page.push(item);
    }
  }
  return pages;
}
