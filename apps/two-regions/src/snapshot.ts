import type { Model } from "./model.ts";
import type { RegionDriver } from "./region-driver.ts";
import type { SessionView, StateView } from "./view.ts";

/** Users, and sessions, asked for at a time. */
const PAGE = 256;

/** A region's state, fetched as a whole: what it shows once nothing is written any more. */
export async function snapshotOf(
  region: Pick<RegionDriver, "name" | "users" | "sessions">,
  model: Model,
): Promise<StateView> {
  const hidden = new Map<string, readonly string[]>();
  const sessions = new Map<string, SessionView | undefined>();
  for (const ids of pages([...model.hidden.keys()])) {
    for (const [index, user] of (await region.users(ids)).entries()) {
      hidden.set(ids[index]!, user.hidden);
      for (const id of user.sessions) sessions.set(id, undefined);
    }
  }
  // A session that the recording has may be missing among its user's.
  const listed = [...sessions.keys()];
  for (const ids of pages([...new Set([...listed, ...model.sessions.keys()])])) {
    for (const [index, session] of (await region.sessions(ids)).entries()) sessions.set(ids[index]!, session);
  }
  return {
    name: region.name,
    users: () => hidden.keys(),
    hidden: (user) => hidden.get(user) ?? [],
    sessions: () => listed,
    session: (id) => sessions.get(id),
  };
}

function* pages<Item>(items: readonly Item[]): Generator<readonly Item[]> {
  for (let from = 0; from < items.length; from += PAGE) yield items.slice(from, from + PAGE);
}
