const utf8 = new TextEncoder();

/** The subject of a session: the prefix, and its id as base64url without padding (RFC 4648 §5), a single token. */
export function subjectOf(prefix: string, session: string): string {
  const binary = Array.from(utf8.encode(session), (byte) => String.fromCodePoint(byte)).join("");
  return `${prefix}.${btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}`;
}
