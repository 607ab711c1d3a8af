import type { Evidence } from "./evidence.ts";
import { Violation } from "./violation.ts";

/** J: once everything works again the regions have everything in bounded time, and nothing waits for stability. */
export function* checkLag({ events, finals }: Evidence): Generator<Violation> {
  const converged = events.findLast((event) => event.type === "converged");
  if (converged === undefined) return;
  const { healedAt, convergedAt, boundMs, missing = "something" } = converged;
  const took = convergedAt === undefined ? Infinity : convergedAt - healedAt;
  if (took > boundMs)
    yield new Violation(
      "J",
      convergedAt === undefined
        ? `Regions still lack ${missing} ${boundMs} ms after the last fault`
        : `Regions took ${took} ms to have everything, at most ${boundMs} may pass`,
      { converged },
    );
  if (convergedAt === undefined) return;
  for (const { region, users } of finals)
    for (const [user, { withheld }] of Object.entries(users))
      if (withheld > 0)
        yield new Violation("J", `${region} withholds ${withheld} items of ${user} although all is stable`, {
          user,
        });
}
