import { memory } from "../backends/memory.mjs";
import { compareSession } from "./compare-session.mjs";

compareSession(memory);
