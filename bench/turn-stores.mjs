// The same turn as a commit of a session, and as rows written by hand on lmdb.
// The copy that kv-lmdb has: two in one process take each other's memory.
import { open as openLmdb } from "../packages/kv-lmdb/node_modules/lmdb/node-index.js";

const TEXT = "a turn of an agent that says something ".repeat(26);
const CONFIG = { provider: "provider", model: "model" };

const nodeOf = (revision) => ({
  id: `node-${revision}`,
  ...(revision === 0 ? {} : { parent: `node-${revision - 1}` }),
  timestamp: 1_700_000_000_000 + revision,
  payload: { type: "message", message: { role: "assistant", parts: [{ kind: "text", content: TEXT }] } },
});

/** Sessions of a `SessionStores`, each with a lease that outlives the run. */
export async function sessionTurns(stores, count) {
  const sessions = [];
  for (let index = 0; index < count; index++) {
    const store = await stores.create({ id: `session-${index}`, model: CONFIG.model });
    const fence = await store.lease.claim({ owner: "bench", ttlMs: 3_600_000 });
    sessions.push({ store, fence });
  }
  return {
    commit: async (index, revision) => {
      const { store, fence } = sessions[index];
      const node = nodeOf(revision);
      const result = await store.commit({
        session: `session-${index}`,
        expected: revision === 0 ? "absent" : revision,
        lease: fence,
        config: CONFIG,
        graph: { type: "append", nodes: [node], leaf: node.id },
        turn: { session: `session-${index}`, turn: `turn-${revision}` },
      });
      return result.outcome === "committed" && result.revision === revision + 1;
    },
    revision: async (index) => (await sessions[index].store.headMeta())?.revision ?? 0,
  };
}

/**
 * What one would write by hand for the same promises: session and lease are looked at, the head is compared and set, the
 * turn must be new, the node and where its id lies are written. JSON and nothing around it.
 */
export function handTurns(dir, count) {
  const rows = openLmdb({ path: dir, encoding: "binary", keyEncoding: "binary", overlappingSync: false });
  const key = (session, name) => Buffer.from(`session-${session}/${name}`);
  const json = (value) => Buffer.from(JSON.stringify(value));
  const read = (at) => {
    const bytes = rows.getBinary(at);
    return bytes === undefined ? undefined : JSON.parse(bytes.toString());
  };
  rows.transactionSync(() => {
    for (let session = 0; session < count; session++) {
      rows.putSync(key(session, "meta"), json({ state: "open" }));
      rows.putSync(
        key(session, "lease"),
        json({ owner: "bench", generation: 1, expiresAt: Date.now() + 3_600_000 }),
      );
    }
  });
  const within = (session, revision) => {
    const lease = read(key(session, "lease"));
    if (read(key(session, "meta")).state !== "open" || lease.generation !== 1 || lease.expiresAt < Date.now())
      return false;
    const head = read(key(session, "head"));
    const turn = key(session, `turn/turn-${revision}`);
    if ((head?.revision ?? 0) !== revision || rows.getBinary(turn) !== undefined) return false;
    const node = nodeOf(revision);
    const nodes = revision + 1;
    rows.putSync(
      key(session, "head"),
      json({ revision: revision + 1, leaf: node.id, nodes, config: CONFIG }),
    );
    rows.putSync(key(session, `node/${String(revision).padStart(10, "0")}`), json(node));
    rows.putSync(key(session, `node-id/${node.id}`), json({ sequence: revision }));
    rows.putSync(turn, json({ revision: revision + 1 }));
    return true;
  };
  return {
    commit: (session, revision) => rows.transactionSync(() => within(session, revision)),
    group: (sessions, revision) =>
      rows.transactionSync(() => {
        let all = true;
        for (let session = 0; session < sessions; session++) all = within(session, revision) && all;
        return all;
      }),
    revision: (session) => read(key(session, "head"))?.revision ?? 0,
    close: () => rows.close(),
  };
}
