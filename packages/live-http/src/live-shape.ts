import type { LiveCursor, LiveEvent, LiveGap } from "@tidemark/live";
export interface LiveObservation<View> {
  readonly session: string;
  readonly revision: number;
  readonly view: View;
  readonly cursor: LiveCursor;
}
export type LiveItem<View> =
  | { readonly kind: "event"; readonly event: LiveEvent }
  | { readonly kind: "gap"; readonly gap: LiveGap; readonly observation: LiveObservation<View> }
  | { readonly kind: "observation"; readonly observation: LiveObservation<View> };
export interface LiveSession<View> {
  observe(): Promise<LiveObservation<View>>;
  watch(options?: {
    after?: LiveCursor | string;
    signal?: AbortSignal;
    onLag?: "gap" | "throw";
  }): AsyncIterable<LiveItem<View>>;
  cancelTurn(turn: string): Promise<boolean>;
}
export interface Live<View> {
  session(id: string): LiveSession<View>;
}
