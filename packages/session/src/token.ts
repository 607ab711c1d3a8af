import {
  ByteReader,
  ByteWriter,
  CoreError,
  guardText,
  guardUpTo,
  HASH_CONTEXTS,
  preimage,
  type Hasher,
} from "@tidemark/core";
import { base64urlLength, decodeBase64url, encodeBase64url } from "./base64url.ts";
import { SessionError, type SessionErrorCode } from "./errors.ts";

/** A key of the cluster, named by a number from 1 to 255 so that keys can be replaced one by one. */
export interface TokenKey {
  readonly id: number;
  /** 32 bytes. */
  readonly key: Uint8Array;
}

/** What cursors and tickets have in common: who minted it, and how it is made unforgeable. */
export interface TokenSeal {
  /** 8 bytes. */
  readonly clusterId: Uint8Array;
  /** Signs the token; a cluster without a key leaves it out. */
  readonly key?: TokenKey;
  readonly hasher: Hasher;
}

/** What a token is checked against. */
export interface TokenTrust {
  /** 8 bytes. */
  readonly clusterId: Uint8Array;
  /** Every key the cluster still accepts; empty in a cluster without one. */
  readonly keys: readonly TokenKey[];
  readonly hasher: Hasher;
}

/** How one kind of token differs from the other. */
export interface TokenKind {
  readonly noun: "cursor" | "ticket";
  readonly prefix: string;
  readonly owner: "session" | "user";
  readonly macContext: string;
  readonly malformed: SessionErrorCode;
  readonly foreign: SessionErrorCode;
  readonly forged: SessionErrorCode;
  readonly wrongOwner: SessionErrorCode;
}

/** Bytes before the body: version, key id, cluster id, binding. */
export const TOKEN_HEAD_BYTES = 18;
/** Bytes behind the body of a signed token. */
export const TOKEN_MAC_BYTES = 16;

const VERSION = 1;
const utf8 = new TextEncoder();

/** Writes the head, lets `body` write the rest, signs it, and gives it as text. */
export function sealToken(
  kind: TokenKind,
  ownerId: string,
  seal: TokenSeal,
  body: (writer: ByteWriter) => void,
): string {
  const { clusterId, key, hasher } = seal;
  guardClusterId(clusterId);
  if (key !== undefined && (guardUpTo(key.id, "key id", 255) === 0 || key.key.length !== 32)) {
    throw new RangeError("A key has an id from 1 to 255 and 32 bytes");
  }
  const writer = new ByteWriter();
  writer.u8(VERSION);
  writer.u8(key?.id ?? 0);
  writer.raw(clusterId);
  writer.raw(bindingOf(kind, clusterId, ownerId, hasher));
  body(writer);
  if (key !== undefined) writer.raw(macOf(kind, key.key, writer.view(), hasher));
  return kind.prefix + encodeBase64url(writer.view());
}

/**
 * Checks everything but the body, in this order: length, prefix, base64url, version, cluster, MAC, owner. Gives
 * a reader of the body. Nothing is allocated but the decoded bytes, whose length was checked first.
 */
export function openToken(
  kind: TokenKind,
  token: string,
  ownerId: string,
  trust: TokenTrust,
  bytesMax: number,
): ByteReader {
  const { clusterId, keys, hasher } = trust;
  guardClusterId(clusterId);
  const charsMax = kind.prefix.length + base64urlLength(bytesMax);
  if (token.length > charsMax) {
    throw malformed(kind, `it has ${token.length} characters and the limit is ${charsMax}`);
  }
  if (!token.startsWith(kind.prefix)) throw malformed(kind, `it does not begin with ${kind.prefix}`);
  const bytes = decodeBase64url(token, kind.prefix.length);
  if (bytes === undefined) throw malformed(kind, "it is not base64url");
  if (bytes.length < TOKEN_HEAD_BYTES) throw malformed(kind, "it is cut");
  if (bytes[0] !== VERSION) throw malformed(kind, `its version is ${bytes[0]}`);
  if (!sameBytes(bytes.subarray(2, 10), clusterId)) {
    throw new SessionError(kind.foreign, `Cannot accept a ${kind.noun} of another cluster`);
  }
  const end = checkMac(kind, bytes, keys, hasher);
  if (!sameBytes(bytes.subarray(10, TOKEN_HEAD_BYTES), bindingOf(kind, clusterId, ownerId, hasher))) {
    throw new SessionError(kind.wrongOwner, `Cannot accept a ${kind.noun} of another ${kind.owner}`);
  }
  return new ByteReader(bytes, TOKEN_HEAD_BYTES, end);
}

/** Runs `read`, and gives a decoding failure the code of this kind of token. */
export function readBody<T>(kind: TokenKind, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    throw new SessionError(kind.malformed, `Cannot read the ${kind.noun}: ${error.message}`, {
      cause: error,
    });
  }
}

/** The end of the body. A signed token is accepted under a known key only, an unsigned one without keys only. */
function checkMac(kind: TokenKind, bytes: Uint8Array, keys: readonly TokenKey[], hasher: Hasher): number {
  const keyId = bytes[1] as number;
  if (keyId === 0 && keys.length === 0) return bytes.length;
  const key = keyId === 0 ? undefined : keys.find(({ id }) => id === keyId);
  const end = bytes.length - TOKEN_MAC_BYTES;
  if (key === undefined || end < TOKEN_HEAD_BYTES) throw forged(kind);
  if (!sameBytes(bytes.subarray(end), macOf(kind, key.key, bytes.subarray(0, end), hasher)))
    throw forged(kind);
  return end;
}

function macOf(kind: TokenKind, clusterKey: Uint8Array, bytes: Uint8Array, hasher: Hasher): Uint8Array {
  const key = hasher.digest(kind.macContext, preimage([clusterKey]), 32);
  return hasher.keyedDigest(key, bytes, TOKEN_MAC_BYTES);
}

function bindingOf(kind: TokenKind, clusterId: Uint8Array, ownerId: string, hasher: Hasher): Uint8Array {
  const id = utf8.encode(guardText(ownerId, `${kind.owner} id`));
  return hasher.digest(HASH_CONTEXTS.binding, preimage([utf8.encode(kind.owner), clusterId, id]), 8);
}
/** Compares in a time that does not tell where the first difference is. */
function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= (a[i] as number) ^ (b[i] ?? 0);
  return difference === 0;
}

function guardClusterId(clusterId: Uint8Array): void {
  if (clusterId.length !== 8) throw new RangeError(`A cluster id must have 8 bytes: ${clusterId.length}`);
}

function malformed(kind: TokenKind, why: string): SessionError {
  return new SessionError(kind.malformed, `Cannot read the ${kind.noun}: ${why}`);
}

function forged(kind: TokenKind): SessionError {
  return new SessionError(
    kind.forged,
    `Cannot accept a ${kind.noun} that no key of this cluster has signed as it is`,
  );
}
