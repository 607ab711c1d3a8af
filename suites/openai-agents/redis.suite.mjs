import { redis } from "../backends/redis.mjs";
import { compareSession } from "./compare-session.mjs";

compareSession(redis);
