import { expect, test } from "vitest";
import { keptOf } from "../src/corpus.ts";
import { Fuzzing, FuzzFailure } from "../src/fuzz.ts";
import { TARGETS } from "../src/targets.ts";
import { decoderTarget } from "../src/target.ts";

const SEED = 20_261_121;
/** Inputs of each target; one that works on a disk or a command line takes a thousand times as long. */
const INPUTS = 1_500;
const INPUTS_ON_DISK = 60;

for (const target of TARGETS) {
  test(`TST-3 scenario 38: any input of ${target.name} keeps the promises (seed ${SEED})`, async () => {
    const fuzzing = new Fuzzing(target, SEED);
    await fuzzing.begin(keptOf(target.name));
    const inputs = fuzzing.tried + (/^(cli|wal-directory)/.test(target.name) ? INPUTS_ON_DISK : INPUTS);
    await fuzzing.go(() => fuzzing.tried >= inputs);
    await target.close?.();
  });
}

test("TST-3 every target has a name of its own", () => {
  expect(new Set(TARGETS.map(({ name }) => name)).size).toBe(TARGETS.length);
});

test("Fuzzing finds an error without a type, bytes that are not canonical, an input that is changed, and waste", async () => {
  const seeds = (): Uint8Array[] => [Uint8Array.of(1, 2, 3, 4)];
  const broken = {
    "without a type": (bytes: Uint8Array): Uint8Array => {
      if (bytes[0] === 7) throw new TypeError("Cannot read properties of undefined");
      return bytes;
    },
    "not what its value encodes to": (bytes: Uint8Array): Uint8Array => bytes.filter((byte) => byte !== 9),
    "was changed": (bytes: Uint8Array): Uint8Array => bytes.fill(1),
    "bytes of buffers": (bytes: Uint8Array): Uint8Array => {
      waste.push(new Uint8Array((bytes[0] as number) << 20));
      return bytes;
    },
  };
  for (const [what, decode] of Object.entries(broken)) {
    const target = decoderTarget({ name: "broken", seeds, decode, encode: (bytes) => bytes });
    const fuzzing = new Fuzzing(target, 1);
    const found = await fuzzing
      .begin([])
      .then(() => fuzzing.go(() => fuzzing.tried > 10_000))
      .catch((error: unknown) => error);
    expect(found, what).toBeInstanceOf(FuzzFailure);
    expect(String((found as FuzzFailure).cause), what).toContain(what);
    waste.length = 0;
  }
});

const waste: Uint8Array[] = [];
