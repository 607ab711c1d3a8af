import { memory } from "../backends/memory.mjs";
import { validateStreams } from "./validate-streams.mjs";

validateStreams(memory);
