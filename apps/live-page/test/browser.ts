import { haveChromium, type ServerBinary } from "@tidemark/servers";
import { chromium, type Browser } from "playwright-core";

/** The program of a browser, where there is one. */
export const program: ServerBinary | undefined = await haveChromium();

/** Starts it. It ends with what is disposed, and with this process. */
export function startBrowser(): Promise<Browser> {
  const { path, env } = program!;
  return chromium.launch({ executablePath: path, env: { ...process.env, ...env } });
}
