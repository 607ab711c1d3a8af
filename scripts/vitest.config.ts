import { defineProject, mergeConfig } from "vitest/config";
import shared from "../vitest.shared.ts";

// What holds for the repository as a whole: package arrows, examples, generated files.
export default mergeConfig(shared, defineProject({ test: { name: "repository" } }));
