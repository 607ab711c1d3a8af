export { openLmdbKv } from "./lmdb-kv.ts";
export {
  GROUP_BYTES_MAX,
  GROUP_COMMITS_MAX,
  type LmdbKvOptions,
  PENDING_BYTES_MAX,
  WATCH_POLL_MS,
} from "./options.ts";
export { LMDB_STORE_VERSION } from "./store-version.ts";
