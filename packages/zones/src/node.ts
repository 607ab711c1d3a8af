export { nodeZoneFiles } from "./node/node-zone-files.ts";
