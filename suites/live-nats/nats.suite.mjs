import "../../packages/live-nats/test/conformance.test.ts";
