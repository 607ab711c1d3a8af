import { HASH_CONTEXTS, type Hasher } from "@tidemark/core";
import type { StoredFrame } from "./agent-frame.ts";
import { canonicalJson, type JsonValue } from "./canonical-json.ts";
import type { CheckpointManifest } from "./checkpoint.ts";
import { type GraphDelta, type GraphNode, isObject, messageOf } from "./graph.ts";
import { hex } from "./hex.ts";
import type { TurnCommit } from "./turn-commit.ts";

/** The version of {@link turnProjection}. Stored next to each hash: hashes of different versions are not compared. */
export const TURN_PROJECTION_VERSION: number = 1;

/** The parts of a commit in which bytes have become references. */
export interface NamedParts {
  readonly frames: readonly StoredFrame[];
  readonly manifest?: CheckpointManifest;
}

/**
 * What a commit means, for {@link turnHash}: a list of what counts, by its place in the schema.
 *
 * In it are session, configuration, frames, current frame, checkpoint, usage, completed work, attachments, and of the
 * graph the kind of change and of each node cause, frame and payload. Left out are what a retry may have otherwise: the
 * expected revision, lease, release and stamp; a node's id and timestamp; the id of a payload's message and of each of
 * its parts. Parent and leaf are told by position: the index of a node of the same delta, or `stored`. Nothing is left
 * out by name: a field called `timestamp` inside what a tool gave counts.
 */
export function turnProjection(commit: TurnCommit, { frames, manifest }: NamedParts): JsonValue {
  const { session, config, currentFrame, usage = [], completed = [], attachments = [] } = commit;
  const meaning = {
    session,
    config: { provider: config.provider, model: config.model },
    frames,
    graph: graphProjection(commit.graph),
    usage: usage.map(({ source, model, counts }) => ({ source, model, counts })),
    completed: completed.map(({ claim, generation }) => ({ claim, generation })),
    attachments,
    ...(currentFrame === undefined ? {} : { currentFrame }),
    ...(manifest === undefined ? {} : { checkpoint: manifest }),
  };
  return meaning as unknown as JsonValue;
}

/** The identity of a turn's content: 64 hexadecimal digits. `test/golden/turn-hash.json` has vectors. */
export function turnHash(projection: JsonValue, hasher: Hasher): string {
  const text = new TextEncoder().encode(canonicalJson(projection));
  return hex(hasher.digest(HASH_CONTEXTS.turnCommit, text));
}

function graphProjection(delta: GraphDelta): JsonValue {
  switch (delta.type) {
    case "unchanged":
      return { type: delta.type };
    case "append":
      return { type: delta.type, ...nodesProjection(delta.nodes, delta.leaf) };
    case "replace":
      return { type: delta.type, ...nodesProjection(delta.graph.nodes, delta.graph.leaf) };
  }
}

function nodesProjection(
  nodes: readonly GraphNode[],
  leaf: string | undefined,
): { [key: string]: JsonValue } {
  const indexes = new Map(nodes.map(({ id }, index) => [id, index]));
  const place = (id: string): JsonValue => indexes.get(id) ?? "stored";
  return {
    nodes: nodes.map(({ parent, cause, frame, payload }) => ({
      payload: payloadProjection(payload),
      ...(parent === undefined ? {} : { parent: place(parent) }),
      ...(cause === undefined ? {} : { cause }),
      ...(frame === undefined ? {} : { frame }),
    })),
    ...(leaf === undefined ? {} : { leaf: place(leaf) }),
  };
}

function payloadProjection(payload: JsonValue): JsonValue {
  const message = messageOf(payload);
  if (message === undefined || !isObject(payload)) return payload;
  const { id: _, ...fields } = message;
  const parts = message.parts.map(({ id: __, ...part }) => part);
  return { ...payload, message: { ...fields, parts } };
}
