import { concatBytes } from "./concat-bytes.ts";

/**
 * The body of a request. Reads no more than it may, whatever the headers say.
 *
 * @param tooLarge - The error for a body above the limit, which is given.
 */
export async function readBody(
  request: Request,
  bytesMax: number,
  tooLarge: (bytesMax: number) => Error,
): Promise<Uint8Array> {
  if (Number(request.headers.get("content-length") ?? 0) > bytesMax) throw tooLarge(bytesMax);
  const chunks: Uint8Array[] = [];
  let length = 0;
  if (request.body === null) return new Uint8Array();
  for await (const chunk of request.body) {
    length += chunk.length;
    if (length > bytesMax) throw tooLarge(bytesMax);
    chunks.push(chunk);
  }
  return concatBytes(chunks);
}
