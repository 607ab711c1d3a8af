import { lmdb } from "../backends/lmdb.mjs";
import { validateStreams } from "./validate-streams.mjs";

validateStreams(lmdb);
