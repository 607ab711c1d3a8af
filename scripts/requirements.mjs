// Lists every requirement of docs/spec with the tests that name it; exit code 1 if one in force has none.
// `--quiet` prints only what is missing.
import { heldRequirements, unknownNumbers } from "./lib/requirements.mjs";

const requirements = heldRequirements();
const quiet = process.argv.includes("--quiet");
const twice = requirements.filter(
  ({ id }, index) => requirements.findIndex((one) => one.id === id) !== index,
);
const missing = requirements.filter(({ planned, tests }) => !planned && tests.length === 0);

if (!quiet) {
  for (const { id, planned, tests } of requirements) {
    const where = tests.join(", ") || (planned ? "planned" : "NO TEST");
    console.log(`${id.padEnd(12)} ${where}`);
  }
}
const problems = [
  ...missing.map(({ id, page, sentence }) => `No test names ${id} (docs/spec/${page}): ${sentence}`),
  ...twice.map(({ id, page }) => `${id} is there twice, the second time in docs/spec/${page}`),
  ...unknownNumbers(requirements),
];
for (const problem of problems) console.log(problem);
const inForce = requirements.filter(({ planned }) => !planned);
console.log(
  `${inForce.length} requirements in force, ${inForce.length - missing.length} held by tests, ` +
    `${missing.length} without, ${requirements.length - inForce.length} planned`,
);
process.exitCode = problems.length === 0 ? 0 : 1;
