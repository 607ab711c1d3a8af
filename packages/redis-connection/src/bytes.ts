/** Bytes as the clients take them: they know no other kind. The memory is shared. */
// oxlint-disable-next-line no-restricted-globals -- Nothing of it is public.
const NodeBytes: BufferConstructor = Buffer;

export type ClientBytes = InstanceType<typeof NodeBytes>;

/** What node-redis is told to make of a string. */
export const CLIENT_BYTES: typeof NodeBytes = NodeBytes;

export function clientArgument(argument: string | Uint8Array): string | ClientBytes {
  return typeof argument === "string"
    ? argument
    : NodeBytes.from(argument.buffer, argument.byteOffset, argument.byteLength);
}

const ASCII = new TextDecoder("latin1");

/** A string of a reply, whose characters are bytes. */
export function textOfReply(value: unknown): string {
  return value instanceof Uint8Array ? ASCII.decode(value) : String(value);
}
