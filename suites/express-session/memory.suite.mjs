import { memory } from "../backends/memory.mjs";
import { compareStore } from "./compare-store.mjs";

compareStore(memory);
