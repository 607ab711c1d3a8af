import { memory } from "../backends/memory.mjs";
import { validateSaver } from "./validate-saver.mjs";

validateSaver(memory);
