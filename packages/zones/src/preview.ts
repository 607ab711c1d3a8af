/** A snapshot above this many bytes of UTF-8 has no preview. */
export const PREVIEW_SNAPSHOT_BYTES_MAX: number = 4 * 1024 * 1024;
/** How many characters (code points) of a message a preview has, the ellipsis not counted. */
export const PREVIEW_LENGTH_MAX = 240;

const ELLIPSIS = "\u2026";
/** How the message begins that opens a conversation without anybody having said anything. */
const BOOTSTRAP = "# Session Context";

/** What a list shows of a snapshot. */
export interface Preview {
  /** The first thing the user said, collapsed to one line; empty if there is none. */
  readonly preview: string;
  /** How many nodes the snapshot has. */
  readonly nodeCount: number;
}

/** What a list shows of a snapshot that cannot be looked into. */
export const NO_PREVIEW: Preview = Object.freeze({ preview: "", nodeCount: 0 });

/**
 * Looks into a snapshot: an object whose `nodes` are objects, of which those with the `type` `user_message` have a
 * `text`. The preview is the first such text that is not blank; the heading that bootstraps a session counts only if
 * nothing else was said. Whatever cannot be looked into is {@link NO_PREVIEW}, never an error.
 *
 * @param bytes - UTF-8.
 */
export function previewOf(bytes: Uint8Array): Preview {
  if (bytes.length === 0 || bytes.length > PREVIEW_SNAPSHOT_BYTES_MAX) return NO_PREVIEW;
  const nodes = nodesOf(bytes);
  if (nodes === undefined) return NO_PREVIEW;
  const said = nodes.map(userText).filter((text) => text !== "");
  const text = said.find((one, index) => index > 0 || !one.startsWith(BOOTSTRAP)) ?? said[0] ?? "";
  return { preview: collapse(text), nodeCount: nodes.length };
}

/**
 * One line of at most {@link PREVIEW_LENGTH_MAX} characters: each run of white space is one space, none leads, and what
 * was cut off is one ellipsis more.
 *
 * @example
 * ```ts
 * assert.equal(collapse("  a\n\tb"), "a b");
 * ```
 */
export function collapse(text: string): string {
  const line = text.replace(/\s+/gu, " ").replace(/^ /, "");
  let taken = 0;
  let end = 0;
  for (const character of line) {
    if (taken === PREVIEW_LENGTH_MAX) return `${line.slice(0, end)}${ELLIPSIS}`;
    taken += 1;
    end += character.length;
  }
  return line;
}

function nodesOf(bytes: Uint8Array): readonly unknown[] | undefined {
  try {
    const state: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    const { nodes } = (state ?? {}) as { readonly nodes?: unknown };
    return Array.isArray(nodes) ? nodes : undefined;
  } catch {
    return undefined;
  }
}

/** What a node says for its user, trimmed and well-formed: a lone surrogate cannot be stored. */
function userText(node: unknown): string {
  const { type, text } = (node ?? {}) as { readonly type?: unknown; readonly text?: unknown };
  return type === "user_message" && typeof text === "string"
    ? text.trim().replace(/\p{Surrogate}/gu, "\ufffd")
    : "";
}
