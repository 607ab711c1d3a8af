import type { Hasher } from "@tidemark/core";
import { type OpView, UserSeals } from "@tidemark/session";
import type { WalFs } from "@tidemark/wal";
import { readKeyFile } from "./key-file.ts";
import { readRegionFile } from "./region-file.ts";

/** Opens an operation under a user's key; false if that key is gone, or not known. */
export type Unseal = (op: OpView) => boolean;

/** Opens with these keys. */
export function unsealWith(seals: UserSeals): Unseal {
  return (op) => {
    const { pseudonym, userKey } = op;
    const seal = pseudonym === undefined ? undefined : seals.find(pseudonym, userKey);
    return seal !== undefined && op.unseal(seal);
  };
}

/**
 * Opens with the keys of a directory, whether or not a region runs on it; nothing, where there are none.
 *
 * @throws RegionError `REGION_DAMAGED`.
 */
export async function unsealOf(fs: WalFs, dir: string, hasher: Hasher): Promise<Unseal> {
  const file = await readRegionFile(fs, dir);
  const stored = file?.encryption === true ? await readKeyFile(fs, dir, hasher) : undefined;
  if (file === undefined || stored === undefined) return () => false;
  return unsealWith(new UserSeals({ hasher, seed: file.seed, keys: stored.keys }));
}
