import "../../packages/kv-lmdb/test/conformance.test.ts";
