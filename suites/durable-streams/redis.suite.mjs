import { redis } from "../backends/redis.mjs";
import { validateStreams } from "./validate-streams.mjs";

validateStreams(redis);
