/** The key of every cluster in these tests: tickets carry operations. */
export const CLUSTER_KEY: Uint8Array = new Uint8Array(32).fill(41);
