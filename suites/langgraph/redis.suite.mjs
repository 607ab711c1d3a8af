import { redis } from "../backends/redis.mjs";
import { validateSaver } from "./validate-saver.mjs";

validateSaver(redis);
