export * from "./errors.ts";
export * from "./cursor.ts";
export * from "./ticket.ts";
export type { TokenKey, TokenSeal, TokenTrust } from "./token.ts";
export * from "./token-positions.ts";
