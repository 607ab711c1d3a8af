export { prometheusName } from "./names.ts";
export { registerRegion } from "./register-region.ts";
