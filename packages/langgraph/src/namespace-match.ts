import { InvalidNamespaceError, type MatchCondition } from "@langchain/langgraph-checkpoint";

/** @throws `InvalidNamespaceError` unless it is a list of labels: texts, not empty, without period, colon or NUL. */
export function guardNamespace(namespace: readonly unknown[]): void {
  for (const label of namespace) {
    if (typeof label !== "string") throw new InvalidNamespaceError("A label of a namespace must be a string");
    if (label === "" || /[.:\0]/.test(label)) {
      throw new InvalidNamespaceError(
        `A label of a namespace must not be empty or hold a period, a colon or NUL: ${JSON.stringify(label)}`,
      );
    }
  }
}

/** Whether a namespace begins or ends as asked; `*` stands for any label. */
export function matchesCondition(namespace: readonly string[], { matchType, path }: MatchCondition): boolean {
  if (path.length > namespace.length) return false;
  const from = matchType === "prefix" ? 0 : namespace.length - path.length;
  return path.every((label, index) => label === "*" || label === namespace[from + index]);
}

/** The labels that every match begins with, so that only those need to be looked at. */
export function literalPrefix(conditions: readonly MatchCondition[]): string[] {
  const labels: string[] = [];
  const prefix = conditions.find(({ matchType }) => matchType === "prefix");
  for (const label of prefix?.path ?? []) {
    if (label === "*") break;
    labels.push(label);
  }
  return labels;
}
