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
    signals: sumsOf(signals),
    hints,
    annotations: annotations.map(({ text }) => text),
    searches,
  };
}

/** The sums alone, as plain data. */
function sumsOf(signals: SessionView["signals"]): SessionView["signals"] {
  return new Map(
    [...signals].map(([entity, sums]) => [
      entity,
      new Map([...sums].map(([signal, { count, weight }]) => [signal, { count, weight }])),
    ]),
  );
}

/** A region as a state, read through what any app can call. The recording only says whom to ask for. */
export function viewOfRegion(region: Region, model: Model): StateView {
  return {
    name: region.name,
    users: () => model.hidden.keys(),
    hidden: (user) => hiddenFrom(region, user),
    *sessions() {
      for (const user of model.hidden.keys()) yield* sessionsOf(region, user);
    },
    session: (id) => viewOfSession(region, id),
  };
}

/** What is hidden from a user. */
export function hiddenFrom(region: Region, user: string): readonly string[] {
  return region.users.get(user).hidden();
}

/** The sessions of a user. */
export function* sessionsOf(region: Region, user: string): Generator<string> {
  const handle = region.users.get(user);
  let page = handle.sessions({ limit: PAGE });
  while (page.length > 0) {
    yield* page;
    page = page.length < PAGE ? [] : handle.sessions({ limit: PAGE, after: page.at(-1)! });
  }
}
