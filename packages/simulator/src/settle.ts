import type { Region } from "@tidemark/region";
import { converge } from "./converge.ts";
import { dropRemoved } from "./member-faults.ts";
import { mendLists } from "./operator.ts";
import type { World } from "./world.ts";

/** Heals everything, and lets time pass until all regions have everything: {@link converge}. */
export async function settle(world: World, options: { readonly roundTripMs?: number } = {}): Promise<void> {
  const { time, history } = world;
  await world.healAll();
  await converge({
    time,
    history,
    regions: () => {
      // A member that was told to leave may be let go only now.
      dropRemoved(world);
      return openRegions(world);
    },
    mend: () => world.run(mendLists(world), { what: "an operator" }),
    ...options,
  });
}

/** The regions whose processes run. */
export function openRegions({ machines }: World): Region[] {
  return [...machines.values()].flatMap(({ region }) => region ?? []);
}
