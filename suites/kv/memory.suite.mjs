import "../../packages/kv-conformance/test/suite.test.ts";
