import { type ByteWriter, compareUtf8, EVENT_TIME_MS_MAX, type HideKind, type Hlc } from "@tidemark/core";
import type { MergeFilter } from "./carry.ts";
import {
  APP_BYTES_MAX,
  checkBytes,
  checkName,
  checkText,
  invalid,
  isPropensity,
  METADATA_COUNT_MAX,
} from "./limits.ts";
import { OP_KIND_CODE, type OpKind, type UnhideKind } from "./op-kinds.ts";

/**
 * What a caller asks for: exactly what the caller supplied, and nothing that a region fills in. A retry asks for the
 * same, so its event time is fixed by the first attempt.
 */
export type OpRequest =
  | {
      readonly kind: "start";
      readonly user: string;
      readonly agent: string;
      readonly metadata?: Readonly<Record<string, string>>;
      readonly policy?: string;
      readonly policyVersion?: number;
      readonly parent?: string;
    }
  | {
      readonly kind: "fork";
      readonly parent: string;
      /** The parent's unless given, as is the metadata. */
      readonly agent?: string;
      readonly metadata?: Readonly<Record<string, string>>;
    }
  | {
      readonly kind: "merge";
      /** Two sessions of one user. */
      readonly parents: readonly [string, string];
      /** The first parent's unless given. */
      readonly agent?: string;
      /** That of both unless given, the first parent's where they differ. */
      readonly metadata?: Readonly<Record<string, string>>;
      /** Leaves out what it says no to; not a part of what a retry must repeat. */
      readonly allows?: MergeFilter;
    }
  | {
      readonly kind: "signal";
      readonly entity: string;
      readonly signal: string;
      readonly weight: number;
      /** Unix milliseconds. */
      readonly eventTimeMs: number;
      readonly annotation?: string;
      /** Of an explored item: how likely it was to be shown, above 0 and at most 1. */
      readonly propensity?: number;
    }
  | { readonly kind: "prefer"; readonly key: string; readonly value: string }
  | { readonly kind: "annotate"; readonly text: string; readonly entity?: string }
  /** The user is the session's unless given. */
  | { readonly kind: HideKind | UnhideKind; readonly item: string; readonly user?: string }
  | { readonly kind: "search"; readonly query: string }
  | {
      readonly kind: "close";
      /** The owner's: {@link CLOSE_IDLE} or {@link CLOSE_DURATION}. No part of the request bytes. @defaultValue 0 */
      readonly reason?: number;
      /** Of an idle close: the latest stamp of the session when it was judged idle. */
      readonly latest?: Hlc;
    }
  /** The owner's: the session is forgotten everywhere, but for a tombstone. */
  | { readonly kind: "purge" }
  /** In the session of {@link erasureSession}, and in a cluster that encrypts. */
  | { readonly kind: "erase"; readonly user: string }
  | { readonly kind: "app"; readonly namespace: string; readonly bytes: Uint8Array };

/** The request of one kind. */
export type RequestOf<Kind extends OpKind> = Extract<OpRequest, { readonly kind: Kind }>;

/**
 * Checks every text and number of a request but its weight and time, which have errors of their own.
 *
 * @throws {@link SessionError} `INVALID_INPUT`.
 */
export function checkRequest(request: OpRequest): void {
  switch (request.kind) {
    case "start":
      checkName(request.user, "user");
      checkName(request.agent, "agent");
      if (request.policy !== undefined) checkText(request.policy, "policy", 128);
      if (request.parent !== undefined) checkName(request.parent, "parent");
      checkU32(request.policyVersion ?? 0, "policyVersion");
      checkMetadata(request.metadata ?? {});
      return;
    case "fork":
      checkName(request.parent, "parent");
      checkChild(request);
      return;
    case "merge":
      if (request.parents.length !== 2 || request.parents[0] === request.parents[1])
        throw invalid("parents must be two different sessions");
      for (const parent of request.parents) checkName(parent, "parent");
      checkChild(request);
      return;
    case "signal":
      checkName(request.entity, "entity");
      checkName(request.signal, "signal");
      if (request.annotation !== undefined) checkText(request.annotation, "annotation");
      if (request.propensity !== undefined && !isPropensity(request.propensity))
        throw invalid(`propensity must be above 0 and at most 1: ${request.propensity}`);
      if (
        !Number.isInteger(request.eventTimeMs) ||
        request.eventTimeMs < 0 ||
        request.eventTimeMs > EVENT_TIME_MS_MAX
      ) {
        throw invalid(`eventTimeMs must be an integer from 0 to 2^48-1: ${request.eventTimeMs}`);
      }
      return;
    case "prefer":
      checkName(request.key, "key");
      checkText(request.value, "value");
      return;
    case "annotate":
      checkText(request.text, "text");
      if (request.entity !== undefined) checkName(request.entity, "entity");
      return;
    case "hide":
    case "mute":
    case "block":
    case "unhide":
    case "unmute":
    case "unblock":
      checkName(request.item, "item");
      if (request.user !== undefined) checkName(request.user, "user");
      return;
    case "search":
      checkText(request.query, "query");
      return;
    case "close":
    case "purge":
      return;
    case "erase":
      checkName(request.user, "user");
      return;
    case "app":
      checkName(request.namespace, "namespace");
      checkBytes(request.bytes, "bytes", APP_BYTES_MAX);
      return;
    default:
      request satisfies never;
      throw invalid(`kind must be one of ${Object.keys(OP_KIND_CODE).slice(0, 15).join(", ")}`);
  }
}

/**
 * Writes the request bytes: u8 kind, then what the caller supplied. An absent text is a zero byte, a present one a
 * byte 1 and the `text`.
 *
 * | kind                        | fields                                                                          |
 * | :-------------------------- | :------------------------------------------------------------------------------ |
 * | start                       | user, agent, policy `text`, policy version u32, parent if present, metadata (varint count, key and value `text`, ascending by key) |
 * | fork                        | parent `text`, agent if present, u8 0 or u8 1 and metadata                      |
 * | merge                       | the parents `text`, agent if present, u8 0 or u8 1 and metadata                 |
 * | signal                      | entity, signal `text`, weight f64, event time u64, annotation if present, then nothing or the propensity f64 |
 * | prefer                      | key, value `text`                                                               |
 * | annotate                    | text `text`, entity if present                                                  |
 * | hides and their removals    | item `text`, user if present: only one named by the caller                      |
 * | search                      | query `text`                                                                    |
 * | close, purge, erase         | - (whose keys an erasure destroys is told by its session)                       |
 * | app                         | namespace `text`, bytes `bytes`                                                 |
 */
export function writeRequest(writer: ByteWriter, request: OpRequest): void {
  writer.u8(OP_KIND_CODE[request.kind]);
  switch (request.kind) {
    case "start": {
      writer.text(request.user);
      writer.text(request.agent);
      writer.text(request.policy ?? "");
      writer.u32(request.policyVersion ?? 0);
      writeOptional(writer, request.parent);
      writeMetadata(writer, request.metadata ?? {});
      return;
    }
    case "fork":
      writer.text(request.parent);
      writeChild(writer, request);
      return;
    case "merge":
      for (const parent of request.parents) writer.text(parent);
      writeChild(writer, request);
      return;
    case "signal":
      writer.text(request.entity);
      writer.text(request.signal);
      writer.f64(request.weight + 0);
      writer.u64(request.eventTimeMs);
      writeOptional(writer, request.annotation);
      if (request.propensity !== undefined) writer.f64(request.propensity);
      return;
    case "prefer":
      writer.text(request.key);
      writer.text(request.value);
      return;
    case "annotate":
      writer.text(request.text);
      writeOptional(writer, request.entity);
      return;
    case "hide":
    case "mute":
    case "block":
    case "unhide":
    case "unmute":
    case "unblock":
      writer.text(request.item);
      writeOptional(writer, request.user);
      return;
    case "search":
      writer.text(request.query);
      return;
    case "close":
    case "purge":
    case "erase":
      return;
    case "app":
      writer.text(request.namespace);
      writer.prefixed(request.bytes);
      return;
    default:
      request satisfies never;
  }
}

interface Child {
  readonly agent?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

function checkChild({ agent, metadata }: Child): void {
  if (agent !== undefined) checkName(agent, "agent");
  if (metadata !== undefined) checkMetadata(metadata);
}

function writeChild(writer: ByteWriter, { agent, metadata }: Child): void {
  writeOptional(writer, agent);
  writer.u8(metadata === undefined ? 0 : 1);
  if (metadata !== undefined) writeMetadata(writer, metadata);
}

function writeMetadata(writer: ByteWriter, metadata: Readonly<Record<string, string>>): void {
  const keys = Object.keys(metadata).sort(compareUtf8);
  writer.varint(keys.length);
  for (const key of keys) {
    writer.text(key);
    writer.text(metadata[key] as string);
  }
}

function writeOptional(writer: ByteWriter, text: string | undefined): void {
  writer.u8(text === undefined ? 0 : 1);
  if (text !== undefined) writer.text(text);
}

function checkMetadata(metadata: Readonly<Record<string, string>>): void {
  const keys = Object.keys(metadata);
  if (keys.length > METADATA_COUNT_MAX)
    throw invalid(`metadata has ${keys.length} entries: the limit is ${METADATA_COUNT_MAX}`);
  for (const key of keys) {
    checkText(key, "A metadata key");
    checkText(metadata[key] as string, `The metadata value of ${key}`);
  }
}

function checkU32(value: number, what: string): void {
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff)
    throw invalid(`${what} must be an integer from 0 to 2^32-1`);
}
