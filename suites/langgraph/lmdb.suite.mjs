import { lmdb } from "../backends/lmdb.mjs";
import { validateSaver } from "./validate-saver.mjs";

validateSaver(lmdb);
