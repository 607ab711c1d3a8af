import type { Transport, TransportCapabilities } from "@tidemark/transport";

/** What an adapter's tests can do to their medium, beyond opening and closing peers. */
export type TransportHook = "cut" | "cutOneWay" | "restartBroker";

/** Peers on one medium of their own: nothing of an earlier mesh is seen in it. */
export interface TransportMesh {
  /** Open and ready, as many as were asked for. */
  readonly peers: readonly Transport[];
  /** Opens a peer again, under its name, after its transport was closed. */
  reopen(peer: number): Promise<Transport>;
  /** Closes every peer and the medium; idempotent. */
  close(): Promise<void>;
  /** For hook `cut`: nothing passes between two peers, either way. Calls may wait or reject meanwhile. */
  cut?(left: number, right: number): Promise<void>;
  /** For hook `cutOneWay`: nothing passes from the first to the second. */
  cutOneWay?(from: number, to: number): Promise<void>;
  /** For both: every link is as it was. */
  heal?(): Promise<void>;
  /** For hook `restartBroker`: the medium's server stops and starts. Resolves once it runs again. */
  restartBroker?(): Promise<void>;
}

/** What the checks are run over. */
export interface TransportConformanceOptions {
  /** Pinned here, so that a claim that is dropped shows in a diff. Checks that need more are skipped. */
  readonly claims: TransportCapabilities;
  /** Opens a fresh mesh for each check. */
  readonly openMesh: (peerCount: number) => Promise<TransportMesh>;
  /** @defaultValue none */
  readonly hooks?: readonly TransportHook[];
  /** How long something that must happen may take. @defaultValue 5,000 */
  readonly deadlineMs?: number;
}

/** What a check is given. */
export interface TransportCheckContext {
  readonly mesh: TransportMesh;
  /** The first peer. */
  readonly left: Transport;
  /** The second peer. */
  readonly right: Transport;
  readonly claims: TransportCapabilities;
  readonly deadlineMs: number;
}

/** A claim or a hook that a check cannot do without. */
export type TransportRequirement = "ordered" | "replay" | "persistent" | TransportHook;

/** One thing every transport must do. */
export interface TransportCheck {
  /** The promise, after the number of the requirement it belongs to. */
  readonly name: string;
  /** @defaultValue none */
  readonly requires?: readonly TransportRequirement[];
  /** @defaultValue 2 */
  readonly peerCount?: number;
  /** Rejects if the promise is broken. */
  readonly run: (context: TransportCheckContext) => Promise<void>;
}

/** What a transport lacks that a check requires. */
export function missingRequirements(
  check: TransportCheck,
  options: TransportConformanceOptions,
): TransportRequirement[] {
  const { claims, hooks = [] } = options;
  return (check.requires ?? []).filter((requirement) => {
    if (requirement === "ordered" || requirement === "replay" || requirement === "persistent") {
      return !claims[requirement];
    }
    return !hooks.includes(requirement);
  });
}

/** Runs one check over a mesh of its own, and closes that whatever happens. */
export async function runTransportCheck(
  check: TransportCheck,
  options: TransportConformanceOptions,
): Promise<void> {
  const { claims, deadlineMs = 5_000 } = options;
  const mesh = await options.openMesh(check.peerCount ?? 2);
  try {
    const [left, right] = mesh.peers;
    if (left === undefined || right === undefined) {
      throw new RangeError(`openMesh() must open at least 2 peers: it opened ${mesh.peers.length}`);
    }
    await check.run({ mesh, left, right, claims, deadlineMs });
  } finally {
    await mesh.close();
  }
}
