/** A script of the server, and the name it is called by. */
export interface Script {
  readonly text: string;
  /** SHA-1 of the text, in hexadecimal. */
  readonly sha: string;
}

/** Names a script as servers do. */
export async function scriptOf(text: string): Promise<Script> {
  const digest = await globalThis.crypto.subtle.digest("SHA-1", new TextEncoder().encode(text));
  const sha = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return { text, sha };
}
