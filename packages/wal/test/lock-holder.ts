// A process of its own that holds a log until it is killed: started by node.test.ts.
import { nobleHasher } from "@tidemark/core";
import { openWal } from "@tidemark/wal";
import { nodeFs } from "@tidemark/wal/node";
import { OWN, body } from "./support.ts";

const dir = process.argv[2] as string;
void openWal({ fs: nodeFs(), dir, hasher: nobleHasher })
  .then((wal) => wal.createLog(OWN))
  .then((log) => log.append(2, body("from the other process")))
  .then(() => {
    process.stdout.write("held");
    // The lock does not keep a process alive.
    setInterval(() => {}, 1000);
  });
