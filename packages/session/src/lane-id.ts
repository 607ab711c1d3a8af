/** A lane of a region: the log incarnation that accepted the operations numbers them. */
export interface RegionLane {
  readonly region: number;
  readonly epoch: number;
}

/** A lane that a client owns: it numbers and stamps its operations itself; a restarted producer takes a new epoch. */
export interface ClientLane {
  /** 32 lower-case hexadecimal digits. */
  readonly producer: string;
  readonly epoch: number;
}

/** One writer's numbered sequence of operations within a session. */
export type Lane = RegionLane | ClientLane;

/**
 * The one text form of a lane. Strings sort as lanes are ordered: regions first, then region or producer, then epoch.
 *
 * @example
 * ```ts
 * assert.equal(formatLane({ region: 1, epoch: 7 }), "r00001-e0000000007");
 * ```
 */
export function formatLane(lane: Lane): string {
  if ("producer" in lane) return `w${lane.producer}-e${padded(lane.epoch, 10)}`;
  const { region, epoch } = lane;
  if (latest.region !== region || latest.epoch !== epoch)
    latest = { region, epoch, text: `r${padded(region, 5)}-e${padded(epoch, 10)}` };
  return latest.text;
}

/** A region writes one lane for a long time, and its text is wanted several times an operation. */
let latest: RegionLane & { readonly text: string } = { region: -1, epoch: -1, text: "" };

function padded(value: number, digits: number): string {
  return String(value).padStart(digits, "0");
}

const LANE = /^(?:r(\d{5})|w([0-9a-f]{32}))-e(\d{10})$/;

/** The exact inverse of {@link formatLane}; anything else is `undefined`. */
export function parseLane(text: string): Lane | undefined {
  const match = LANE.exec(text);
  if (match === null) return undefined;
  const epoch = Number(match[3]);
  if (epoch > 0xffff_ffff) return undefined;
  if (match[2] !== undefined) return { producer: match[2], epoch };
  const region = Number(match[1]);
  return region > 0xffff ? undefined : { region, epoch };
}
