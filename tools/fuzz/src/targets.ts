import type { FuzzTarget } from "./target.ts";
import { CLI } from "./targets/cli.ts";
import { CORE } from "./targets/core.ts";
import { DURABLE_STREAMS } from "./targets/durable-streams.ts";
import { KV } from "./targets/kv.ts";
import { LIVE_HTTP } from "./targets/live-http.ts";
import { REGION_FILES } from "./targets/region.ts";
import { REPLICATION } from "./targets/replication.ts";
import { SESSION } from "./targets/session.ts";
import { SIGNALS } from "./targets/signals.ts";
import { STREAMS } from "./targets/streams.ts";
import { TRANSPORTS } from "./targets/transport.ts";
import { WAL_DIRECTORY } from "./targets/wal-directory.ts";
import { WAL } from "./targets/wal.ts";

/** Everything that takes bytes from outside. */
export const TARGETS: readonly FuzzTarget[] = [
  ...CORE,
  ...WAL,
  ...WAL_DIRECTORY,
  ...REPLICATION,
  ...SESSION,
  ...SIGNALS,
  ...KV,
  ...LIVE_HTTP,
  ...STREAMS,
  ...DURABLE_STREAMS,
  ...REGION_FILES,
  ...TRANSPORTS,
  ...CLI,
];
