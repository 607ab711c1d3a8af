import type { Evidence } from "./evidence.ts";
import { Violation } from "./violation.ts";

interface Told {
  readonly region: string;
  readonly vector: Readonly<Record<string, number>>;
  readonly digest: string;
}

/** F: regions at the same vector, at whatever moments, have the same state digest; and in the end all have both. */
export function* checkDigest(evidence: Evidence): Generator<Violation> {
  const { finals } = evidence;
  const told: Told[] = [
    ...certificatesOf(evidence),
    ...finals.map(({ region, certificate }) => ({ region, ...certificate })),
  ];
  const known = new Map<string, { region: string; digest: string }>();
  for (const { region, vector, digest } of told) {
    const at = vectorText(vector);
    const other = known.get(at);
    if (other === undefined) known.set(at, { region, digest });
    else if (other.digest !== digest)
      yield new Violation("F", `${region} and ${other.region} differ at one vector`, {
        vector,
        digest,
        other,
      });
  }
  const [first, ...others] = finals;
  for (const { region, certificate } of others)
    if (first !== undefined && vectorText(certificate.vector) !== vectorText(first.certificate.vector))
      yield new Violation("F", `${region} and ${first.region} have not the same operations in the end`, {
        vector: certificate.vector,
        other: first.certificate.vector,
      });
}

/**
 * What regions said of their states on the way. Left out is what one says whose disk has lost records, until it has them
 * again: its keys may be gone with an erasure that its log does not tell of.
 */
function* certificatesOf({ events, forgetting, sealed }: Evidence): Generator<Told> {
  const regions = new Map<string, { forgets: boolean; readonly ever: Map<string, number> }>();
  for (const event of events) {
    if (event.type !== "life" && event.type !== "applied" && event.type !== "certificate") continue;
    const known = regions.get(event.region) ?? { forgets: false, ever: new Map<string, number>() };
    regions.set(event.region, known);
    if (event.type === "life") known.forgets = forgetting.has(event.index);
    const vector = event.type === "applied" ? { [event.log]: event.lsn } : (event.vector ?? {});
    const lacks = [...known.ever].some(([log, lsn]) => (vector[log] ?? 0) < lsn);
    if (event.type === "certificate" && !(sealed && known.forgets && lacks)) yield event;
    for (const [log, lsn] of Object.entries(vector))
      known.ever.set(log, Math.max(lsn, known.ever.get(log) ?? 0));
  }
}

function vectorText(vector: Readonly<Record<string, number>>): string {
  return Object.entries(vector)
    .filter(([, lsn]) => lsn > 0)
    .map(([log, lsn]) => `${log} ${lsn}`)
    .sort()
    .join("\n");
}
