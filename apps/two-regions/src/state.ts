import { objectJson } from "./json.ts";
import { compareUtf8 } from "./utf8-order.ts";
import type { SessionView, StateView } from "./view.ts";

/**
 * The final state as JSON text, piece by piece: a state may be larger than the longest string.
 *
 * Keys and `hidden` are sorted by their UTF-8 bytes, so equal states are equal bytes.
 */
export function* stateJson(views: readonly StateView[]): Generator<string> {
  yield `{"regions":{`;
  let separator = "\n";
  for (const view of [...views].sort((a, b) => compareUtf8(a.name, b.name))) {
    yield `${separator}${JSON.stringify(view.name)}:{"users":{`;
    yield* entries(
      view.users(),
      (user) => `{"hidden":${listJson([...view.hidden(user)].sort(compareUtf8))}}`,
    );
    yield `},\n"sessions":{`;
    yield* entries(view.sessions(), (id) => sessionJson(view.session(id)));
    yield "}}";
    separator = ",\n";
  }
  yield "}}\n";
}

function* entries(keys: Iterable<string>, valueJson: (key: string) => string | undefined): Generator<string> {
  let separator = "\n";
  for (const key of [...keys].sort(compareUtf8)) {
    const value = valueJson(key);
    if (value === undefined) continue;
    yield `${separator}${JSON.stringify(key)}:${value}`;
    separator = ",\n";
  }
}

function sessionJson(session: SessionView | undefined): string | undefined {
  if (session === undefined) return undefined;
  const signals = [...session.signals].map(([entity, sums]) => [entity, sumsJson(sums)] as const);
  return objectJson([
    ["agent", JSON.stringify(session.agent)],
    ["annotations", listJson(session.annotations)],
    ["hints", stringsJson(session.hints)],
    ["metadata", stringsJson(session.metadata)],
    ["open", String(session.open)],
    ["searches", listJson(session.searches)],
    ["signals", objectJson(signals)],
    ["user", JSON.stringify(session.user)],
  ]);
}

function sumsJson(sums: ReadonlyMap<string, { readonly count: number; readonly weight: number }>): string {
  return objectJson(
    [...sums].map(([signal, { count, weight }]) => [signal, sumJson(count, weight)] as const),
  );
}

function sumJson(count: number, weight: number): string {
  return `{"count":${count},"weight":${JSON.stringify(weight)}}`;
}

function stringsJson(strings: ReadonlyMap<string, string>): string {
  return objectJson([...strings].map(([key, value]) => [key, JSON.stringify(value)] as const));
}

function listJson(list: readonly string[]): string {
  return JSON.stringify(list);
}
