import { expect, test } from "vitest";
import { heldRequirements, numbersIn, requirementsOf, unknownNumbers } from "../lib/requirements.mjs";

test("requirementsOf() reads number, sentence and whether it is planned", () => {
  const page =
    "# Toy\n\n- **WAL-1** One\n  and more.\n- **REP-2a** *planned* Two.\n- **scenario 3** Three.\n";
  expect(requirementsOf(page)).toEqual([
    { id: "WAL-1", planned: false, sentence: "One and more." },
    { id: "REP-2a", planned: true, sentence: "Two." },
    { id: "scenario 3", planned: false, sentence: "Three." },
  ]);
});

test("numbersIn() reads names and not comments, and keeps WAL-1 apart from WAL-10", () => {
  const number = ["WAL", "10"].join("-");
  const source = `test("${number} scenarios 13, 14 and 44 hold", () => {}); // SES-1`;
  expect([...numbersIn(source)]).toEqual([number, "scenario 13", "scenario 14", "scenario 44"]);
});

test("no number of docs/spec is used twice, and tests name only numbers it has", () => {
  const requirements = heldRequirements();
  const ids = requirements.map(({ id }) => id);
  expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
  expect(unknownNumbers(requirements)).toEqual([]);
});
