import { type Backend, memoryBackend } from "./stores.ts";

/** What the cases of the session store run over. */
export const backends: readonly (readonly [name: string, backend: Backend])[] = [["memory", memoryBackend]];
