import type { StoredCheckpoint } from "./checkpoint.ts";
import { type Decision, nothing, runDecision } from "./decision.ts";
import { asSessionStoreError } from "./errors.ts";
import { leafUnresolvable } from "./graph-delta.ts";
import { nodeIdRecord } from "./graph.ts";
import { headRecord, type NodePosition } from "./head.ts";
import { sessionKeys } from "./keys.ts";
import { guardId } from "./limits.ts";
import { recordCodec, type RecordCodec } from "./records.ts";
import { requireOpenGate, type SessionContext, unchanged } from "./session-context.ts";

/** How many anchors a session has at most: they lie in one record. */
export const ANCHORS_MAX: number = 256;

/** A node that is kept for somebody, with the way to its root and the state the head had when it was retained. */
export interface Anchor {
  readonly name: string;
  readonly node: NodePosition;
  readonly checkpoint?: StoredCheckpoint;
  /** Unix ms of the store's clock. */
  readonly retainedAtMs: number;
}

/** All anchors of a session: a register, so that what removes nodes can check that none came. */
export interface AnchorsRecord {
  readonly anchors: readonly Anchor[];
}

/** How the anchors are stored. */
export const anchorsRecord: RecordCodec<AnchorsRecord> = recordCodec("anchors", 1);

/** The anchors of one session: what keeps nodes and components though the head no longer reaches them. */
export class SessionAnchors {
  readonly #context: SessionContext;

  constructor(context: SessionContext) {
    this.#context = context;
  }

  /**
   * Keeps the way from the root to a node, and the state the head names now, until {@link SessionAnchors.release}. A name
   * that is retained already moves.
   *
   * @param leaf - The node. @defaultValue where the session is
   * @throws SessionStoreError `LEAF_UNRESOLVABLE` if there is no such node.
   */
  async retain(name: string, leaf?: string): Promise<Anchor> {
    const { kv, records } = this.#context;
    guardId(name, "name");
    const { gate, head, anchors } = sessionKeys;
    const keys = [gate, head, anchors, ...(leaf === undefined ? [] : [sessionKeys.nodeId(leaf)])];
    return runDecision(
      kv,
      records.partition,
      (view) => view.get(keys),
      (values, nowMs) => {
        requireOpenGate(values[0], this.#context);
        const stored = headRecord.read(values[1], head, records);
        const place = leaf === undefined ? undefined : nodeIdRecord.read(values[3], keys[3]!, records);
        const live = place !== undefined && !place.tombstoned && place.sequence >= (stored?.graph.floor ?? 0);
        const node =
          leaf === undefined ? stored?.graph.leaf : live ? { id: leaf, sequence: place.sequence } : undefined;
        if (stored === undefined || node === undefined) throw leafUnresolvable(leaf ?? "(none)");
        const { checkpoint } = stored;
        const anchor = {
          name,
          node,
          retainedAtMs: nowMs,
          ...(checkpoint === undefined ? {} : { checkpoint }),
        };
        const kept = (anchorsRecord.read(values[2], anchors, records)?.anchors ?? []).filter(
          (one) => one.name !== name,
        );
        if (kept.length >= ANCHORS_MAX) throw new RangeError(`A session has at most ${ANCHORS_MAX} anchors`);
        const puts = [anchorsRecord.item({ anchors: [...kept, anchor] }, anchors, records)];
        return { checks: unchanged(keys, values), puts, deletes: [], result: anchor };
      },
    );
  }

  /** Lets go of an anchor. Fine if there is none of that name. */
  async release(name: string): Promise<void> {
    const { kv, records } = this.#context;
    const keys = [sessionKeys.gate, sessionKeys.anchors];
    await runDecision(
      kv,
      records.partition,
      (view) => view.get(keys),
      (values): Decision<void> => {
        requireOpenGate(values[0], this.#context);
        const stored = anchorsRecord.read(values[1], sessionKeys.anchors, records)?.anchors ?? [];
        const kept = stored.filter((one) => one.name !== name);
        if (kept.length === stored.length) return nothing(undefined);
        const puts = [anchorsRecord.item({ anchors: kept }, sessionKeys.anchors, records)];
        return { checks: unchanged(keys, values), puts, deletes: [], result: undefined };
      },
    );
  }

  /** All anchors, in the order they were retained. */
  async list(): Promise<readonly Anchor[]> {
    const { kv, records } = this.#context;
    try {
      const [bytes] = await kv.get(records.partition, [sessionKeys.anchors]);
      return anchorsRecord.read(bytes, sessionKeys.anchors, records)?.anchors ?? [];
    } catch (error) {
      throw asSessionStoreError(error);
    }
  }
}
