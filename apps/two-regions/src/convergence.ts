import type { Certificate } from "@tidemark/region";
import type { RegionDriver } from "./region-driver.ts";

/** How long regions may stay apart without any progress, in milliseconds. */
export const STALL_MS_MAX = 60_000;

const CHECK_MS = 10;

/**
 * Waits until all regions are the same: equal vectors, equal digests, no unhide pending.
 *
 * @returns The certificates, by region; they differ if nothing moved for {@link STALL_MS_MAX}.
 */
export async function converge(
  regions: readonly RegionDriver[],
  nowMs: () => number,
): Promise<readonly Certificate[]> {
  let progress = "";
  let sinceMs = nowMs();
  for (;;) {
    const health = await Promise.all(regions.map((region) => region.health()));
    const isLevel = health.every(
      ({ opsApplied, unhidesPending }) => opsApplied === health[0]!.opsApplied && unhidesPending === 0,
    );
    // A certificate hashes the whole state: only worth asking for once the counts agree.
    if (isLevel) {
      const certificates = await certificatesOf(regions);
      if (areEqual(certificates)) return certificates;
    }
    const now = health.map(({ opsApplied, unhidesPending }) => `${opsApplied}/${unhidesPending}`).join(" ");
    if (now !== progress) [progress, sinceMs] = [now, nowMs()];
    if (nowMs() - sinceMs > STALL_MS_MAX) return certificatesOf(regions);
    await new Promise((resolve) => setTimeout(resolve, CHECK_MS));
  }
}

function certificatesOf(regions: readonly RegionDriver[]): Promise<Certificate[]> {
  return Promise.all(regions.map((region) => region.certificate()));
}

/** Whether certificates prove the regions to be the same. */
export function areEqual(certificates: readonly Certificate[]): boolean {
  const [first, ...others] = certificates.map(({ vector, digest }) =>
    JSON.stringify([vectorOf(vector), digest]),
  );
  return others.every((other) => other === first);
}

function vectorOf(vector: Certificate["vector"]): [string, number][] {
  return Object.entries(vector).sort(([a], [b]) => (a < b ? -1 : 1));
}
