import { expect, test } from "vitest";
import * as transport from "../src/index.ts";

test("TRN-1 the package has one error class and types, and nothing else that runs", () => {
  expect(Object.keys(transport)).toEqual(["TransportError"]);
});

test("TRN-1 TransportError carries code, cause, and by code whether a retry can help", () => {
  const cause = new Error("socket hang up");
  const error = new transport.TransportError("PUBLISH_FAILED", "Cannot confirm", { cause });
  expect(error).toMatchObject({ name: "TransportError", code: "PUBLISH_FAILED", retryable: true, cause });
  expect(Object.getPrototypeOf(transport.TransportError.prototype)).toBe(Error.prototype);
  const codes: Readonly<Record<transport.TransportErrorCode, boolean>> = {
    TRANSPORT_CLOSED: false,
    FRAME_TOO_LARGE: false,
    REQUEST_TIMEOUT: true,
    NO_RESPONDER: true,
    PUBLISH_FAILED: true,
    SUBJECT_IN_USE: true,
    UNAUTHORIZED: false,
    INVALID_SUBJECT: false,
  };
  for (const [code, retryable] of Object.entries(codes)) {
    const made = new transport.TransportError(code as transport.TransportErrorCode, "Cannot");
    expect([code, made.retryable]).toEqual([code, retryable]);
    expect("cause" in made).toBe(false);
  }
  expect(new transport.TransportError("PUBLISH_FAILED", "Never", { retryable: false }).retryable).toBe(false);
});
