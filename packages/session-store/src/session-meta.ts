import { guardId } from "./limits.ts";
import { recordCodec, type RecordCodec } from "./records.ts";

/** Where a session comes from. */
export type SessionRelation =
  | { readonly type: "root" }
  | {
      readonly type: "child";
      /** The session it was made from. */
      readonly parent: string;
      /** Why, in the caller's words. */
      readonly cause?: string;
    };

/** What people know a session by. It can be edited; a commit never touches it. */
export interface SessionMeta {
  readonly id: string;
  readonly name: string;
  /** ISO 8601, by the clock of the store. */
  readonly createdAt: string;
  readonly model: string;
  readonly workingDirectory?: string;
  readonly relation: SessionRelation;
}

/** How session meta is stored. */
export const sessionMetaRecord: RecordCodec<SessionMeta> = recordCodec("session-meta", 1);

/** The session this one was made from, if it was made from one. */
export function parentOf({ relation }: Pick<SessionMeta, "relation">): string | undefined {
  return relation.type === "child" ? relation.parent : undefined;
}

/** Returns the fields of session meta and no others. @throws `TypeError` or `RangeError` if they are not what they must be. */
export function guardMeta(meta: SessionMeta): SessionMeta {
  const { id, name, createdAt, model, workingDirectory, relation } = meta;
  guardId(id, "id");
  for (const [what, text] of Object.entries({ name, createdAt, model })) {
    if (typeof text !== "string") throw new TypeError(`${what} must be text`);
  }
  if (createdAt === "") throw new RangeError("createdAt must not be empty");
  if (relation.type === "child") guardId(relation.parent, "relation.parent");
  return {
    id,
    name,
    createdAt,
    model,
    ...(workingDirectory === undefined ? {} : { workingDirectory }),
    relation: relationOf(relation),
  };
}

function relationOf(relation: SessionRelation): SessionRelation {
  if (relation.type === "root") return { type: "root" };
  const { parent, cause } = relation;
  return { type: "child", parent, ...(cause === undefined ? {} : { cause }) };
}
