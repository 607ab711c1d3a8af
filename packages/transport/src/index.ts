export * from "./service.ts";
export * from "./subscription.ts";
export * from "./errors.ts";
export * from "./transport.ts";
