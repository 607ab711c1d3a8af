import type { EntryId } from "@tidemark/redis-connection";
import type { FrameSequence } from "@tidemark/transport";

/** Epoch and LSN as the id of an entry. @throws `RangeError` unless both are whole numbers from 0 and one is above it. */
export function entryIdOf({ epoch, last }: FrameSequence): EntryId {
  for (const [name, value] of Object.entries({ epoch, last })) {
    if (!Number.isSafeInteger(value) || value < 0)
      throw new RangeError(`sequence.${name} must be a whole number from 0: ${value}`);
  }
  if (epoch === 0 && last === 0) throw new RangeError("sequence must be above 0, 0");
  return { major: epoch, minor: last };
}
