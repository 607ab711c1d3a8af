/** No server of a kind can be had here; the message says in one line how to get one. */
export class ServerUnavailableError extends Error {
  override readonly name: string = "ServerUnavailableError";
  readonly code = "SERVER_UNAVAILABLE" as const;
}
