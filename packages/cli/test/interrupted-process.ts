// A process of the command that is told to end while it reads.
import { nodeIo, runCli } from "../src/index.ts";

const io = nodeIo();
const alive = setInterval(() => undefined, 1_000);
io.signal.addEventListener("abort", () => {
  clearInterval(alive);
  void runCli(["wal", "verify", process.argv[2]!], { io, version: "0" }).then(
    (code) => (process.exitCode = code),
  );
});
process.stdout.write("ready\n");
