import { lmdb } from "../backends/lmdb.mjs";
import { compareSession } from "./compare-session.mjs";

compareSession(lmdb);
