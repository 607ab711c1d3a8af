// P7: a hybrid logical clock against reading the wall clock alone.
import { HlcClock } from "../../packages/core/dist/index.js";
import { compare, rate } from "../harness.mjs";

export const ROWS = ["P7"];

const COUNT = 100_000;

export async function run() {
  let sink = 0;
  const wall = () => {
    for (let step = 0; step < COUNT; step++) sink += Date.now();
  };
  const each = new HlcClock({ clockId: 1, now: Date.now });
  const perBatch = new HlcClock({ clockId: 1, now: Date.now });
  const lines = await compare({
    row: "P7",
    work: "HLC tick(), the clock read each time",
    unit: "stamps/s",
    variants: {
      tidemark: () =>
        rate(() => {
          for (let step = 0; step < COUNT; step++) sink += each.tick().counter;
        }, COUNT),
      "Date.now() alone": () => rate(wall, COUNT),
    },
    goals: { "Date.now() alone": 0.7 },
  });
  lines.push(
    ...(await compare({
      row: "P7",
      work: "HLC tick(), the clock read once a batch of 1,000",
      unit: "stamps/s",
      variants: {
        tidemark: () =>
          rate(() => {
            let now = 0;
            for (let step = 0; step < COUNT; step++) {
              if (step % 1000 === 0) now = Date.now();
              sink += perBatch.tick(now).counter;
            }
          }, COUNT),
        "Date.now() alone": () => rate(wall, COUNT),
      },
    })),
  );
  if (sink === 0) throw new Error("nothing was measured");
  return lines;
}
