import { redis } from "../backends/redis.mjs";
import { compareStore } from "./compare-store.mjs";

compareStore(redis);
