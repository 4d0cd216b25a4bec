import { describe, expect, it } from "vitest";
import { task } from "../testing/samples";
import { ago, bytes, seconds, standing } from "./words";

describe("words", () => {
  it.each([
    [null, "–"],
    [0.012, "12 ms"],
    [1.25, "1.3 s"],
    [42.4, "42 s"],
    [600, "10 min"],
    [7_200, "2.0 h"],
  ])("%s seconds", (value, expected) => expect(seconds(value)).toBe(expected));

  it.each([
    [0, "0 B"],
    [1_536, "1.5 KiB"],
    [48 * 2 ** 30, "48.0 GiB"],
  ])("%s bytes", (value, expected) => expect(bytes(value)).toBe(expected));

  it("tells how long ago", () => expect(ago("2026-01-01T00:00:00Z", Date.parse("2026-01-01T00:05:00Z"))).toBe("5 min ago"));

  it("tells where a task stands", () => {
    expect(standing(task())).toBe("Waiting – 2 before it, about 12 s");
    expect(standing(task({ queue_position: 0, eta_s: null }))).toBe("Waiting – next in line");
    expect(standing(task({ status: "processing", stage: "denoising", step: 3, steps: 8 }))).toBe("Forming the clip: step 3 of 8");
    expect(standing(task({ status: "processing", stage: "a_new_stage" }))).toBe("a new stage");
  });
});
