export { createInProcessNetwork } from "./network.ts";
export type { InProcessNetwork, InProcessNetworkOptions, InProcessStats } from "./network.ts";
