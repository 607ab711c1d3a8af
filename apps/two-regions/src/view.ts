import type { Model } from "./model.ts";

/** A session as it is read at the end. */
export interface SessionView {
  readonly user: string;
  readonly agent: string;
  readonly metadata: ReadonlyMap<string, string>;
  readonly open: boolean;
  readonly signals: ReadonlyMap<
    string,
    ReadonlyMap<string, { readonly count: number; readonly weight: number }>
  >;
  readonly hints: ReadonlyMap<string, string>;
  readonly annotations: readonly string[];
  readonly searches: readonly string[];
}

/** A whole state as it is read at the end: a region's, or what the recording says. */
export interface StateView {
  readonly name: string;
  users(): Iterable<string>;
  hidden(user: string): Iterable<string>;
  sessions(): Iterable<string>;
  session(id: string): SessionView | undefined;
}

/** The recording as a state, to be written and compared like a region's. */
export function viewOfModel(name: string, model: Model): StateView {
  return {
    name,
    users: () => model.hidden.keys(),
    hidden: (user) => model.hidden.get(user) ?? [],
    sessions: () => model.sessions.keys(),
    session: (id) => model.sessions.get(id),
  };
}
