import { expect, test } from "vitest";
import { programOf } from "../src/run-cli.ts";
import { cli, commandsBelow, makeMember, makeRegion, makeStore, NOWHERE, Place } from "./harness.ts";

const commands = commandsBelow(programOf(NOWHERE, "0"));

test.each(commands.map((words) => [["tidemark", ...words].join(" "), words] as const))(
  "CLI-5 `%s --help` begins with two examples, and each of them works",
  async (_, words) => {
    const help = await cli([...words, "--help"]);
    expect(help).toMatchObject({ code: 0, stderr: "" });
    expect(help.stdout).toMatch(/^Examples:\n {2}\$ tidemark .*\n {2}\$ tidemark /);
    const examples = [...help.stdout.matchAll(/^ {2}\$ tidemark (.*)$/gm)].map(([, line]) => line!);
    using place = new Place();
    const dir = place.path("data/us-east");
    // A probe wants a region that runs, a list of members one that has one.
    const running = examples.some((example) => example.includes("--check"));
    const region = running ? await makeRegion(dir) : await makeMember(dir);
    if (examples.some((example) => example.includes("data/eu-west")))
      await makeMember(place.path("data/eu-west"));
    if (examples.some((example) => example.includes("--store"))) await makeStore(place);
    try {
      for (const example of examples) {
        const ran = await cli(example.split(" "), { cwd: place.dir });
        expect(ran, example).toMatchObject({ code: 0 });
        expect(ran.stdout.length, example).toBeGreaterThan(0);
      }
    } finally {
      await region?.close();
    }
  },
);

test("CLI-5 --version prints the version, and a word that is no command is a usage error", async () => {
  expect(await cli(["--version"])).toEqual({ code: 0, stdout: "0.0.0-test\n", stderr: "" });
  expect(await cli(["-V"])).toMatchObject({ code: 0 });
  expect(await cli(["statsu"])).toEqual({
    code: 2,
    stdout: "",
    stderr: "tidemark: Unknown command 'statsu' (Did you mean status?) (CLI_USAGE)\n",
  });
});

test.each([
  [[]],
  [["status", "--frob"]],
  [["status", "a", "b"]],
  [["status", "--max-lag"]],
  [["status", "--max-lag", "soon"]],
  [["status", "--max-lag", "-1"]],
  [["keygen", "--out"]],
  [["keygen", "extra"]],
])("CLI-1 %j is a usage error in one line, and in one line of JSON", async (argv) => {
  const text = await cli(argv);
  expect(text).toMatchObject({ code: 2, stdout: "" });
  expect(text.stderr).toMatch(/^tidemark: [^\n]+ \(CLI_USAGE\)\n$/);
  const json = await cli([...argv.slice(0, 1), "--json", ...argv.slice(1)]);
  expect(json).toMatchObject({ code: 2, stdout: "" });
  expect(JSON.parse(json.stderr)).toMatchObject({ error: { code: "CLI_USAGE", exitCode: 2 } });
});

test("CLI-1 an interrupted command exits with 130", async () => {
  const ran = await cli(["keygen"], { signal: AbortSignal.abort(new Error("Interrupted")) });
  expect(ran.code).toBe(130);
});
