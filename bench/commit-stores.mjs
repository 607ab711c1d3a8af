// The same commit on several stores: compare-and-set of a head, a node of 1.1 KB, the receipt of a turn that must be new.
import { join } from "node:path";
import { openLmdbKv } from "../packages/kv-lmdb/dist/index.js";
// The copy that kv-lmdb has: two in one process take each other's memory.
import { open as openLmdb } from "../packages/kv-lmdb/node_modules/lmdb/node-index.js";
import { peer } from "./harness.mjs";

const NODE_BYTES = 1_100;
const RECEIPT_BYTES = 64;
const node = new Uint8Array(NODE_BYTES).fill(0x61);
const receipt = new Uint8Array(RECEIPT_BYTES).fill(0x62);

const keyOf = (text) => new TextEncoder().encode(text);
const revisionBytes = (revision) => {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setUint32(0, revision);
  return bytes;
};
const revisionOf = (bytes) =>
  bytes === undefined ? 0 : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);

/** Through `Kv.commit`. */
export async function kvStore(dir) {
  const kv = await openLmdbKv({ dir: join(dir, "kv") });
  const head = keyOf("head");
  return {
    commit: async (session, revision) => {
      const turn = keyOf(`turn/${revision}`);
      const { committed } = await kv.commit(`session/${session}`, {
        checks: [
          { key: head, value: revision === 0 ? undefined : revisionBytes(revision) },
          { key: turn, value: undefined },
        ],
        puts: [
          { key: head, value: revisionBytes(revision + 1) },
          { key: keyOf(`node/${revision}`), value: node },
          { key: turn, value: receipt },
        ],
      });
      return committed;
    },
    revision: async (session) => revisionOf((await kv.get(`session/${session}`, [head]))[0]),
    close: () => kv.close(),
  };
}

/** By hand, on synchronous transactions of lmdb. `group` is what several callers would have to build themselves. */
export function lmdbStore(dir) {
  const rows = openLmdb({
    path: join(dir, "lmdb"),
    encoding: "binary",
    keyEncoding: "binary",
    overlappingSync: false,
  });
  const within = (session, revision) => {
    const head = Buffer.from(`session/${session}/head`);
    const turn = Buffer.from(`session/${session}/turn/${revision}`);
    if (revisionOf(rows.getBinary(head)) !== revision || rows.getBinary(turn) !== undefined) return false;
    rows.putSync(head, revisionBytes(revision + 1));
    rows.putSync(Buffer.from(`session/${session}/node/${revision}`), node);
    rows.putSync(turn, receipt);
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
    revision: (session) => revisionOf(rows.getBinary(Buffer.from(`session/${session}/head`))),
    close: () => rows.close(),
  };
}

/** One table and a row a key, write-ahead log, synced each time. */
export async function sqliteStore(dir) {
  const sqlite = await peer("better-sqlite3");
  if (sqlite === undefined) return undefined;
  let database;
  try {
    database = new sqlite.default(join(dir, "rows.sqlite"));
  } catch (error) {
    console.error(`better-sqlite3 has no binary here (${error.message}): its rows are left out`);
    return undefined;
  }
  database.pragma("journal_mode = WAL");
  database.pragma("synchronous = FULL");
  database.exec("create table if not exists rows (key text primary key, value blob) without rowid");
  const read = database.prepare("select value from rows where key = ?").pluck();
  const write = database.prepare("insert or replace into rows values (?, ?)");
  const within = (session, revision) => {
    const head = `session/${session}/head`;
    const turn = `session/${session}/turn/${revision}`;
    if (revisionOf(read.get(head)) !== revision || read.get(turn) !== undefined) return false;
    write.run(head, revisionBytes(revision + 1));
    write.run(`session/${session}/node/${revision}`, node);
    write.run(turn, receipt);
    return true;
  };
  const alone = database.transaction(within);
  return {
    commit: (session, revision) => alone.immediate(session, revision),
    group: database.transaction((sessions, revision) => {
      let all = true;
      for (let session = 0; session < sessions; session++) all = within(session, revision) && all;
      return all;
    }).immediate,
    revision: (session) => revisionOf(read.get(`session/${session}/head`)),
    close: () => void database.close(),
  };
}
