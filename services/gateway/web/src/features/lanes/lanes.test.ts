import { describe, expect, it } from "vitest";
import { measured } from "./Diagnostics";
import { lineOf } from "./MemoryChart";

describe("the chart of memory", () => {
  it("draws no line without readings", () => expect(lineOf([], 10)).toBe(""));
  it("draws one reading as a level", () => expect(lineOf([{ at: 5, used: 5 }], 10)).toBe("0.0,34.0 300.0,34.0"));
  it("draws from left to right and full at the top", () => expect(lineOf([{ at: 0, used: 0 }, { at: 10, used: 10 }], 10)).toBe("0.0,64.0 300.0,4.0"));
});

describe("a diagnostic's number", () => {
  const one = { id: 1, kind: "cold_start", task_id: null, model: null, lane: null, lane_mode: null, value: 4.2, reason: null, timestamp: "", detail: {} };
  it.each([
    ["cold_start", "4.2 s"],
    ["memory_cleanup", "4 B"],
    ["queue_overloaded", "4.2 waiting"],
  ])("of %s", (kind, expected) => expect(measured({ ...one, kind })).toBe(expected));
  it("is absent where there is none", () => expect(measured({ ...one, value: null })).toBe(""));
});
