import { writeFileSync } from "node:fs";
import { basename } from "node:path";

/** Tells failures on standard error, and writes what each file of each suite came to where CONFORMANCE_REPORT says. */
export default class ConformanceReporter {
  onTestRunEnd(modules, unhandledErrors) {
    const results = modules.map((module) => {
      const counts = { passed: 0, failed: 0, skipped: 0, pending: 0 };
      for (const test of module.children.allTests()) {
        const { state, errors } = test.result();
        counts[state] += 1;
        if (state === "failed") tell(`FAIL ${test.fullName}`, errors);
      }
      tell(`Cannot run ${module.moduleId}`, module.errors());
      const { passed, failed, skipped, pending } = counts;
      return {
        suite: module.project.name,
        backend: basename(module.moduleId, ".suite.mjs"),
        passed,
        // A file that could not be loaded has no test that failed.
        failed: failed + pending + module.errors().length,
        skipped,
      };
    });
    tell("Outside of tests", unhandledErrors);
    writeFileSync(process.env.CONFORMANCE_REPORT, JSON.stringify(results));
  }
}

function tell(what, errors) {
  for (const error of errors) console.error(`${what}\n${error.stack ?? error.message}`);
}
