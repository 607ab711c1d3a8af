export * from "./service.ts";
export * from "./subscription.ts";
export * from "./transport-error.ts";
export * from "./transport.ts";
