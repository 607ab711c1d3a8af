import { expect, test } from "vitest";
import { SessionTurns } from "../src/index.ts";

test("SessionTurns runs the calls for one session in turn, and those of different sessions at once", async () => {
  const turns = new SessionTurns();
  const gate = openGate();
  const told: string[] = [];
  const first = turns.run("a", async () => {
    await gate.opened;
    told.push("a1");
    throw new Error("Ends badly");
  });
  const second = turns.run("a", () => Promise.resolve(told.push("a2")));
  const idle = turns.idle("a").then(() => told.push("idle"));
  await turns.run("b", () => Promise.resolve(told.push("b")));
  expect(told).toEqual(["b"]);
  gate.open();
  await expect(first).rejects.toThrow("Ends badly");
  await Promise.all([second, idle]);
  expect(told.slice(0, 3)).toEqual(["b", "a1", "a2"]);
});

function openGate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}
