import type { Hlc } from "@tidemark/core";
import type { EraseClear, ForkClear, ForkSealed, OpContent, SignalSealed } from "./op.ts";
import { CLOSE_ASKED } from "./op-kinds.ts";
import type { OpRequest } from "./op-request.ts";

/** What a region fills in. */
export interface FilledIn {
  /** Whose hides a hide or its removal speaks of. */
  readonly user: string;
  /** The dots a removal has seen, ascending. */
  readonly dots: readonly Uint8Array[];
  /** The digest of the signal schema that is in force, for a start. */
  readonly schema?: Uint8Array | undefined;
  /** What a fork or merge carries. */
  readonly fork?: ForkContent;
  /** Whose keys an erasure destroys. */
  readonly erase?: EraseClear;
}

/** The content of a fork or merge, as it was when it was accepted. */
export interface ForkContent {
  readonly clear: ForkClear;
  readonly sealed: ForkSealed;
  /** The latest of the parents: the fork is stamped above it. */
  readonly stamp: Hlc;
}

/** The content of the operation that a request asks for. */
export function contentOf(request: OpRequest, filledIn: FilledIn): OpContent {
  switch (request.kind) {
    case "start": {
      const { user, agent, metadata = {}, policy = "", policyVersion = 0, parent } = request;
      const { schema } = filledIn;
      const clear = {
        policy,
        policyVersion,
        ...(parent === undefined ? {} : { parent }),
        ...(schema === undefined ? {} : { schema }),
      };
      return { kind: "start", clear, sealed: { user, agent, metadata } };
    }
    case "fork":
    case "merge": {
      const { fork } = filledIn;
      if (fork === undefined) throw new TypeError(`A ${request.kind} needs the state it carries`);
      return { kind: request.kind, clear: fork.clear, sealed: fork.sealed };
    }
    case "signal": {
      const { entity, signal, weight, eventTimeMs, annotation, propensity } = request;
      return {
        kind: "signal",
        clear: { entity, signal, weight, eventTimeMs },
        sealed:
          propensity === undefined
            ? annotation === undefined
              ? {}
              : { annotation }
            : explored(annotation, propensity),
      };
    }
    case "prefer":
      return { kind: "prefer", clear: {}, sealed: { key: request.key, value: request.value } };
    case "annotate": {
      const { text, entity } = request;
      return { kind: "annotate", clear: {}, sealed: entity === undefined ? { text } : { text, entity } };
    }
    case "hide":
    case "mute":
    case "block":
      return { kind: request.kind, clear: {}, sealed: { user: filledIn.user, item: request.item } };
    case "unhide":
    case "unmute":
    case "unblock":
      return {
        kind: request.kind,
        clear: { dots: filledIn.dots },
        sealed: { user: filledIn.user, item: request.item },
      };
    case "search":
      return { kind: "search", clear: {}, sealed: { query: request.query } };
    case "close": {
      const { reason = CLOSE_ASKED, latest } = request;
      return { kind: "close", clear: latest === undefined ? { reason } : { reason, latest }, sealed: {} };
    }
    case "purge":
      return { kind: "purge", clear: {}, sealed: {} };
    case "erase": {
      const { erase } = filledIn;
      if (erase === undefined) throw new TypeError("An erasure needs to know whose keys it destroys");
      return { kind: "erase", clear: erase, sealed: {} };
    }
    case "app":
      return { kind: "app", clear: { namespace: request.namespace }, sealed: { bytes: request.bytes } };
    default:
      return request satisfies never;
  }
}

function explored(annotation: string | undefined, propensity: number): SignalSealed {
  return annotation === undefined ? { propensity } : { annotation, propensity };
}
