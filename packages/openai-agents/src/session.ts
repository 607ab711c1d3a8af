import type {
  AgentInputItem,
  SessionHistoryRewriteArgs,
  SessionHistoryRewriteAwareSession,
  SessionHistoryTransactionArgs,
  SessionHistoryTransactionAwareSession,
} from "@openai/agents-core";
import type { Hasher } from "@tidemark/core";
import { History, type HistoryOptions, type Operation } from "./history.ts";
import { operationHash, transactionHash } from "./history-rows.ts";
import { itemOfJson, jsonOfItem, textOfJson } from "./item-json.ts";

/**
 * A session of the OpenAI Agents SDK: its history in a key-value store. Made by `TidemarkSessions`.
 *
 * Every change is one commit: it is there whole or not at all. Calls for one session of one process follow one another.
 */
export class TidemarkSession
  implements SessionHistoryTransactionAwareSession, SessionHistoryRewriteAwareSession
{
  readonly #id: string;
  readonly #history: History;
  readonly #hasher: Hasher;

  /** Use `session()` of `TidemarkSessions`. */
  constructor(options: HistoryOptions) {
    this.#id = options.id;
    this.#hasher = options.hasher;
    this.#history = new History(options);
  }

  async getSessionId(): Promise<string> {
    return this.#id;
  }

  /** The items in their order; with a limit the last of them. */
  async getItems(limit: number = Number.POSITIVE_INFINITY): Promise<AgentInputItem[]> {
    return (await this.#history.items(limit)).map(itemOfText);
  }

  /**
   * Adds items at the end.
   *
   * @throws `TypeError`, `RangeError` for what JSON and bytes cannot say; `OpenAiAgentsError` `OPENAI_AGENTS_TOO_LARGE`, `OPENAI_AGENTS_BUSY`
   */
  async addItems(items: AgentInputItem[]): Promise<void> {
    const texts = items.map(textOfItem);
    if (texts.length > 0) await this.#history.append(texts);
  }

  /** Removes the last item and gives it. */
  async popItem(): Promise<AgentInputItem | undefined> {
    const text = await this.#history.pop();
    return text === undefined ? undefined : itemOfText(text);
  }

  /** Removes all items, and forgets which operations were applied: from one commit on, then their rows go. */
  async clearSession(): Promise<void> {
    await this.#history.clear();
  }

  /** Puts items in the place of the whole history, at one moment. Which operations were applied is kept. */
  async replaceHistoryWithCompaction(items: AgentInputItem[]): Promise<void> {
    await this.#history.compact(items.map(textOfItem));
  }

  /** Replaces calls of functions: the first of an id is replaced, further ones go. One commit. */
  async applyHistoryMutations({ mutations }: SessionHistoryRewriteArgs): Promise<void> {
    const steps = mutations.map(({ callId, replacement }) => ({
      callId,
      replacement: textOfItem(replacement),
    }));
    if (steps.length === 0) return;
    await this.#history.rewrite(() => {
      const replaced = new Set<object>();
      return (text) => {
        let current = text;
        for (const step of steps) {
          const item = itemOfText(current);
          if (item.type !== "function_call" || item.callId !== step.callId) continue;
          if (replaced.has(step)) return undefined;
          replaced.add(step);
          current = step.replacement;
        }
        return current;
      };
    });
  }

  /**
   * Changes the history once for an id, however often it is called: id and change are one commit. The same id with the
   * same transaction changes nothing; also after a crash, and also in another process.
   *
   * @throws `OpenAiAgentsError` `OPENAI_AGENTS_OPERATION_CONFLICT`, `OPENAI_AGENTS_SUFFIX_MISMATCH`,
   * `OPENAI_AGENTS_TOO_LARGE`, `OPENAI_AGENTS_BUSY`; `TypeError` for what is no transaction. Then nothing is changed.
   */
  async applyHistoryTransaction({ operationId, transaction }: SessionHistoryTransactionArgs): Promise<void> {
    if (typeof operationId !== "string" || operationId.trim() === "") {
      throw new TypeError("operationId must be text that is not blank");
    }
    if (transaction.type === "append_items") {
      const items = transaction.items.map(textOfItem);
      await this.#history.append(items, this.#operation(operationId, ["append_items", items]));
    } else if (transaction.type === "replace_suffix") {
      const expected = transaction.expectedSuffix.map(textOfItem);
      const replacement = transaction.replacement.map(textOfItem);
      const operation = this.#operation(operationId, ["replace_suffix", expected, replacement]);
      await this.#history.replaceSuffix(expected, replacement, { operation, isEqual });
    } else {
      throw new TypeError("transaction must be append_items or replace_suffix");
    }
  }

  #operation(name: string, [type, ...lists]: [string, ...string[][]]): Operation {
    const text = JSON.stringify([type, ...lists.map((items) => items.map(equalText))]);
    const hash = operationHash(this.#hasher, name);
    return { name, hash, transaction: transactionHash(this.#hasher, text) };
  }
}

function textOfItem(item: AgentInputItem): string {
  return JSON.stringify(jsonOfItem(item));
}

function itemOfText(text: string): AgentInputItem {
  return itemOfJson(JSON.parse(text)) as AgentInputItem;
}

/** One text for items that are equal, whatever the order of their fields. */
function equalText(text: string): string {
  return textOfJson(JSON.parse(text));
}

function isEqual(a: string, b: string): boolean {
  return a === b || equalText(a) === equalText(b);
}
