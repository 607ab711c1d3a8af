/** Printable ASCII as base64url text (RFC 4648 §5), without padding. */
export function encodeBase64url(text: string): string {
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** The exact inverse of {@link encodeBase64url}; `undefined` for text that it does not give. */
export function decodeBase64url(encoded: string): string | undefined {
  // What `atob` throws on, and what it forgives.
  if (!/^[A-Za-z0-9_-]*$/.test(encoded) || encoded.length % 4 === 1) return undefined;
  const text = atob(encoded.replaceAll("-", "+").replaceAll("_", "/"));
  return encodeBase64url(text) === encoded ? text : undefined;
}
