import { lmdb } from "../backends/lmdb.mjs";
import { compareStore } from "./compare-store.mjs";

compareStore(lmdb);
