import { Model } from "../src/model.ts";
import { Recording } from "../src/recording.ts";
import { stateJson } from "../src/state.ts";
import { LINE, surveyRecording } from "../src/survey.ts";
import { viewOfModel } from "../src/view.ts";

/** What `--state` must hold: the recording, read in order, three times. */
export function expectedState(bytes: Uint8Array): unknown {
  const recording = new Recording(bytes);
  const survey = surveyRecording(recording, () => {});
  const model = new Model();
  for (let line = 1; line <= recording.lineCount; line++) {
    if (survey.status[line]! >= LINE.refused) model.read(recording.operation(line));
  }
  const views = ["us-east", "eu-west", "ap-south"].map((name) => viewOfModel(name, model));
  return JSON.parse([...stateJson(views)].join(""), rounded);
}

/** The sum of the same weights in another order may differ in its last digits. */
export function rounded(key: string, value: unknown): unknown {
  return key === "weight" ? Math.round((value as number) * 1e6) / 1e6 : value;
}
