export { instrumentRegion } from "./instrument-region.ts";
