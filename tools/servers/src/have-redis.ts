import { ServerUnavailableError } from "./errors.ts";
import { startRedis, type RedisOptions } from "./redis-server.ts";

/** Whether servers of a kind can be had; with CI set their absence is a failure, else one line says so. */
export async function haveRedis(options: RedisOptions = {}): Promise<boolean> {
  try {
    await (await startRedis(options)).remove();
    return true;
  } catch (error) {
    if (!(error instanceof ServerUnavailableError) || process.env["CI"]) throw error;
    process.stderr.write(`Skipped: ${error.message}\n`);
    return false;
  }
}
