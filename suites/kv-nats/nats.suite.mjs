import "../../packages/kv-nats/test/conformance.test.ts";
