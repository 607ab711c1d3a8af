// Starts a server, says where, and lives on until it is ended from outside.
import { startRedis } from "../src/index.ts";

const { pid, dir } = await startRedis();
process.stdout.write(`${JSON.stringify({ pid, dir })}\n`);
