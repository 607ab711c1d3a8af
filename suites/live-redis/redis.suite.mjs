import "../../packages/live-redis/test/conformance.test.ts";
