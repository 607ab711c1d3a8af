import type { Region } from "@tidemark/region";
import type { Model } from "./model.ts";
import type { SessionView, StateView } from "./view.ts";

const PAGE = 1000;

/** A session as a region shows it. */
export function viewOfSession(region: Region, id: string): SessionView | undefined {
  const state = region.sessions.get(id)?.state();
  if (state === undefined) return undefined;
  const { user, agent, metadata, open, signals, hints, annotations, searches } = state;
  // Operations of the session are known, and its start is not.
  if (user === undefined || agent === undefined) return undefined;
  return {
    user,
    agent,
    metadata: new Map(Object.entries(metadata)),
    open,
    signals,
    hints,
    annotations: annotations.map(({ text }) => text),
    searches,
  };
}

/** A region as a state, read through what any app can call. The recording only says whom to ask for. */
export function viewOfRegion(region: Region, model: Model): StateView {
  return {
    name: region.name,
    users: () => model.hidden.keys(),
    hidden: (user) => region.users.get(user).hidden(),
    *sessions() {
      for (const user of model.hidden.keys()) yield* sessionsOf(region, user);
    },
    session: (id) => viewOfSession(region, id),
  };
}

function* sessionsOf(region: Region, user: string): Generator<string> {
  const handle = region.users.get(user);
  let page = handle.sessions({ limit: PAGE });
  while (page.length > 0) {
    yield* page;
    page = page.length < PAGE ? [] : handle.sessions({ limit: PAGE, after: page.at(-1)! });
  }
}
