export * from "./errors.ts";
export * from "./session.ts";
export * from "./sessions.ts";
