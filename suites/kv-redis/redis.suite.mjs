import "../../packages/kv-redis/test/conformance.test.ts";
