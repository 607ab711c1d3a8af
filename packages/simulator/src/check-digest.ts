import type { Evidence } from "./evidence.ts";
import { Violation } from "./violation.ts";

/** F: regions at the same vector, at whatever moments, have the same state digest; and in the end all have both. */
export function* checkDigest({ events, finals }: Evidence): Generator<Violation> {
  const told: { region: string; vector: Readonly<Record<string, number>>; digest: string }[] = [
    ...events.filter((event) => event.type === "certificate"),
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

function vectorText(vector: Readonly<Record<string, number>>): string {
  return Object.entries(vector)
    .filter(([, lsn]) => lsn > 0)
    .map(([log, lsn]) => `${log} ${lsn}`)
    .sort()
    .join("\n");
}
