export { LiveCheckError } from "./assertions.ts";
export {
  LIVE_STORE_BOUNDS,
  missingHooks,
  runLiveCheck,
  type LiveCheckContext,
  type LiveConformanceOptions,
  type LiveStoreBounds,
  type LiveStoreCheck,
  type LiveStoreClaims,
  type LiveStoreFixture,
  type LiveStoreHook,
} from "./check.ts";
export { describeLiveStore } from "./describe-live-store.ts";
export { LIVE_CHECKS } from "./live-checks.ts";
export { appendAgain, appendTexts, eventsBehind, textsOf } from "./texts.ts";
