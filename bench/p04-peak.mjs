// A process of its own for P4: does one thing with a directory and prints its peak resident set in KiB.
import { replay, verify } from "./rows/p04-replay.mjs";

const [what, dir] = process.argv.slice(2);
if (what === "replay") await replay(dir);
if (what === "verify") await verify(dir);
console.log(process.resourceUsage().maxRSS);
