import "../../packages/live-conformance/test/suite.test.ts";
