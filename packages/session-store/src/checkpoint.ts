import { HASH_CONTEXTS, type Hasher } from "@tidemark/core";
import { canonicalJson, type JsonValue } from "./canonical-json.ts";
import { SessionStoreError } from "./errors.ts";
import { hex } from "./hex.ts";
import type { UsageCounts } from "./usage-ledger.ts";

/**
 * A part of an agent's state too large for the head. With `body` its bytes are stored, under their own hash; with `ref`
 * alone it is what it was: the bytes of that hash must be stored already.
 */
export type Component = { readonly body: Uint8Array } | { readonly ref: string };

/** A stored component and its bytes. */
export interface LoadedComponent {
  /** The hash of the bytes: 64 hexadecimal digits. */
  readonly ref: string;
  readonly body: Uint8Array;
}

/** Where a turn loop is: small, and in the head itself. */
export interface TurnState {
  readonly turnIndex: number;
  readonly usage: UsageCounts;
  readonly lastPromptUsage?: UsageCounts;
  /** What the provider's protocol wants back. */
  readonly protocolOptions?: JsonValue;
}

/** What a commit says of the agent's state. */
export interface HydratedCheckpoint {
  readonly turnState: TurnState;
  readonly toolState?: Component;
  /** The plugins' state has a revision of its own. */
  readonly plugins?: { readonly revision: number; readonly state: Component };
  readonly executionState?: Component;
}

/** The agent's state as the head names it: turn state, and references to the rest. */
export interface CheckpointManifest {
  readonly turnState: TurnState;
  readonly toolState?: string;
  readonly plugins?: { readonly revision: number; readonly ref: string };
  readonly executionState?: string;
}

/** A manifest and its name: the hash of its canonical JSON. Equal states have equal references. */
export interface StoredCheckpoint {
  readonly ref: string;
  readonly manifest: CheckpointManifest;
}

/** A checkpoint as it is read back: references and bodies. */
export interface LoadedCheckpoint {
  readonly ref: string;
  readonly turnState: TurnState;
  readonly toolState?: LoadedComponent;
  readonly plugins?: { readonly revision: number; readonly state: LoadedComponent };
  readonly executionState?: LoadedComponent;
}

/** Bytes of components that a commit brings, by reference. */
export type Bodies = Map<string, Uint8Array>;

/** The reference of a component's bytes. */
export function componentRef(body: Uint8Array, hasher: Hasher): string {
  return hex(hasher.digest(HASH_CONTEXTS.checkpointComponent, body));
}

/** The reference of a component; its bytes, if it brings some, go to `bodies`. @throws `TypeError` for anything else */
export function nameComponent(component: Component, hasher: Hasher, bodies: Bodies): string {
  if ("ref" in component) {
    if (!/^[0-9a-f]{64}$/.test(component.ref)) {
      throw new TypeError("A component's ref must have 64 hexadecimal digits");
    }
    return component.ref;
  }
  if (!(component.body instanceof Uint8Array)) throw new TypeError("A component's body must be a Uint8Array");
  const ref = componentRef(component.body, hasher);
  bodies.set(ref, component.body.slice());
  return ref;
}

/** The manifest of what a commit says, with its reference; bytes it brings go to `bodies`. */
export function nameCheckpoint(
  { turnState, toolState, plugins, executionState }: HydratedCheckpoint,
  hasher: Hasher,
  bodies: Bodies,
): StoredCheckpoint {
  const named = (component: Component) => nameComponent(component, hasher, bodies);
  const manifest: CheckpointManifest = {
    turnState,
    ...(toolState === undefined ? {} : { toolState: named(toolState) }),
    ...(plugins === undefined ? {} : { plugins: { revision: plugins.revision, ref: named(plugins.state) } }),
    ...(executionState === undefined ? {} : { executionState: named(executionState) }),
  };
  const text = new TextEncoder().encode(canonicalJson(manifest as unknown as JsonValue));
  return { ref: hex(hasher.digest(HASH_CONTEXTS.checkpointManifest, text)), manifest };
}

/** The components a manifest names. */
export function refsOf(manifest: CheckpointManifest | undefined): string[] {
  return [manifest?.toolState, manifest?.plugins?.ref, manifest?.executionState].filter(
    (ref) => ref !== undefined,
  );
}

/** A manifest with the bodies of what it names. */
export function hydrate(
  { ref, manifest }: StoredCheckpoint,
  bodyOf: (ref: string) => Uint8Array,
): LoadedCheckpoint {
  const { turnState, toolState, plugins, executionState } = manifest;
  const loaded = (name: string): LoadedComponent => ({ ref: name, body: bodyOf(name) });
  return {
    ref,
    turnState,
    ...(toolState === undefined ? {} : { toolState: loaded(toolState) }),
    ...(plugins === undefined ? {} : { plugins: { revision: plugins.revision, state: loaded(plugins.ref) } }),
    ...(executionState === undefined ? {} : { executionState: loaded(executionState) }),
  };
}

/** The error of a component whose bytes are not stored. */
export function componentMissing(component: string): SessionStoreError {
  return new SessionStoreError("COMPONENT_MISSING", `The bytes of component ${component} are not stored`, {
    component,
  });
}
