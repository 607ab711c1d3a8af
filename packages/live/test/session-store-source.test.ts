import { expect, test } from "vitest";
import { sessionStoreSource } from "../src/index.ts";

test("LIV-6a B-1 a session that is not there, or has no turn yet, is at revision 0", async () => {
  const heads = new Map([["trip", { revision: 3, currentFrame: "planner", nodes: 7 }]]);
  const stores = {
    open: async (id: string) =>
      id === "unknown" ? undefined : { load: async () => heads.get(id), headMeta: async () => heads.get(id) },
  };
  const source = sessionStoreSource(stores, { view: (head) => head?.nodes ?? 0 });
  expect(await source.observe("trip")).toEqual({ revision: 3, view: 7, frame: "planner" });
  expect(await source.revision!("trip")).toBe(3);
  for (const id of ["unknown", "empty"]) {
    expect(await source.observe(id)).toEqual({ revision: 0, view: 0 });
    expect(await source.revision!(id)).toBe(0);
  }
});
