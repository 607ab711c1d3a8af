export { createInProcessNetwork } from "./network.ts";
export type { InProcessNetwork, InProcessStats, InProcessSubscriptionStats } from "./network.ts";
export type { LinkFaults } from "./link.ts";
export type { InProcessNetworkOptions, LinkChangeOptions } from "./options.ts";
