export { openNatsTransport } from "./nats-transport.ts";
export type { NatsStreamOptions, NatsTransportOptions, Provision } from "./options.ts";
export type { NatsPlatform } from "./platform.ts";
export { natsStreams } from "./streams.ts";
export type { NatsStreamConfig, NatsStreamsOptions } from "./streams.ts";
export { routeByRegion } from "./route-by-region.ts";
export type { RegionRoutes } from "./route-by-region.ts";
