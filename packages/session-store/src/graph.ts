import type { JsonValue } from "./canonical-json.ts";
import { recordCodec, type RecordCodec } from "./records.ts";

/**
 * One event of a session: a message, an event of a protocol, the body of a plugin. Nodes form a tree by `parent`; a
 * node without one is a root.
 */
export interface GraphNode {
  readonly id: string;
  readonly parent?: string;
  /** Why it is there, in the caller's words. */
  readonly cause?: string;
  /** The agent frame it belongs to. */
  readonly frame?: string;
  /** When it happened, in the caller's way of saying so. */
  readonly timestamp: string | number;
  /** Any JSON. A {@link MessagePayload} is known: its ids are volatile, and user messages are counted. */
  readonly payload: JsonValue;
}

/** The payload of a message of a conversation, recognised by `type`. Ids of the message and its parts are volatile. */
export type MessagePayload = {
  readonly type: "message";
  readonly message: {
    readonly id?: string;
    readonly role: string;
    readonly parts: readonly MessagePart[];
  };
};

/** A part of a message; fields beside these are the caller's. */
export type MessagePart = {
  readonly id?: string;
  /** `text` is shown in picker info. */
  readonly kind: string;
  readonly content: JsonValue;
};

/** Nodes in the order they were added, and the one the session is at. */
export interface SessionGraph {
  readonly nodes: readonly GraphNode[];
  readonly leaf?: string;
}

/**
 * How a commit changes the graph. A parent is stored already, or stands before its child in the same delta.
 *
 * - `unchanged`: the nodes stay; the leaf moves to `leaf`, if one is named.
 * - `append`: nodes are added; `leaf` is a new node or one stored.
 * - `replace`: the graph is this one from now on.
 */
export type GraphDelta =
  | { readonly type: "unchanged"; readonly leaf?: string }
  | { readonly type: "append"; readonly nodes: readonly GraphNode[]; readonly leaf: string }
  | { readonly type: "replace"; readonly graph: SessionGraph };

/** A node as it is stored, at its sequence. */
export interface NodeRecord extends GraphNode {
  /** Where the parent lies: always below the node itself. */
  readonly parentSequence?: number;
  /** Hidden from every read; the record stays until vacuum. */
  readonly tombstoned?: true;
}

/** Where a node of an id lies. */
export interface NodeIdRecord {
  readonly sequence: number;
  readonly tombstoned?: true;
}

/** How a node is stored. */
export const nodeRecord: RecordCodec<NodeRecord> = recordCodec("node", 1);

/** How the place of a node is stored. */
export const nodeIdRecord: RecordCodec<NodeIdRecord> = recordCodec("node-id", 1);

/** The node as it was given, without what storing it added. */
export function nodeOf({ parentSequence: _, tombstoned: __, ...node }: NodeRecord): GraphNode {
  return node;
}

/** The message a payload holds, if it is one. */
export function messageOf(payload: JsonValue): MessagePayload["message"] | undefined {
  if (!isObject(payload) || payload["type"] !== "message") return undefined;
  const message = payload["message"];
  if (message === undefined || !isObject(message)) return undefined;
  const { role, parts } = message;
  if (typeof role !== "string" || !Array.isArray(parts) || !parts.every(isObject)) return undefined;
  return message as MessagePayload["message"];
}

/** Whether a value is a JSON object. */
export function isObject(value: JsonValue): value is { readonly [key: string]: JsonValue } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
