import { describe, expect, it } from "vitest";
import { model, parameter } from "../../testing/samples";
import { cutOf } from "./Crop";
import { bodyOf, fault, faults, nearest } from "./rules";

const [words, pictures] = model.modes;
if (!words || !pictures) throw new Error("the sample has modes");

describe("one value against one parameter", () => {
  const length = model.parameters.find((one) => one.name === "length")!;
  it.each([
    ["9", null],
    ["21", null],
    ["", null],
    ["10", "Not allowed; 9 is the nearest."],
    ["3", "5 at least."],
    ["25", "21 at most."],
    ["9.5", "Give a whole number."],
    ["many", "Give a number."],
  ])("%s", (text, expected) => expect(fault(length, text)).toBe(expected));

  it("asks for what has no default", () => expect(fault(parameter({ name: "n", kind: "number" }), "")).toBe("Give a number."));
  it("knows choices", () => {
    const light = parameter({ name: "light", kind: "choice", choices: ["dim", "bright"] });
    expect([fault(light, "dim"), fault(light, "red")]).toEqual([null, "Choose one."]);
  });
  it("leaves locks alone", () => expect(fault(parameter({ name: "n", kind: "integer", locked: true, default: 4 }), "9")).toBeNull());
  it("finds the nearest inside the bounds", () => expect([0, 6, 7, 100].map((value) => nearest(length, value)).slice(1, 3)).toEqual([5, 9].slice(0, 2)));
});

describe("a whole request", () => {
  it("needs words", () => expect(Object.keys(faults(model, words, {}, {}))).toEqual(["prompt"]));
  it("has no more pixels than the model takes", () =>
    expect(faults(model, words, { prompt: "x", width: "96", height: "64" }, {})).toEqual({ width: "6144 pixels a frame are too many; 4096 at most." }));
  it("has as many pictures as the mode takes, each at its own place", () => {
    const at = (...places: number[]) => ({ keys: places.map((position) => ({ asset: "a", position })) });
    const wrong = (...places: number[]) => faults(model, pictures, { prompt: "x" }, at(...places))["keys"];
    expect([wrong(), wrong(0), wrong(0, 0), wrong(0, 0.3, 0.6, 1)]).toEqual(["Add 1 at least.", undefined, "Two pictures stand at one place.", "3 at most."]);
  });
  it("names what differs from the defaults, and never a lock", () =>
    expect(bodyOf(model, pictures, { prompt: "x", width: "48", beats: "9", length: "" }, { keys: [{ asset: "a", position: 1 }] }, "gif")).toEqual({
      model: "swan",
      mode: "pictures",
      prompt: "x",
      width: 48,
      keys: [{ image: "a", position: 1 }],
      output_format: "gif",
    }));
});

describe("a crop", () => {
  it("is the largest part of the wanted shape", () => expect(cutOf(200, 100, 1, 0.5, 0.5, 1)).toEqual({ left: 50, top: 0, width: 100, height: 100 }));
  it("never leaves the picture", () => {
    for (const [x, y, zoom] of [[0, 0, 1], [1, 1, 4], [0.3, 1, 2]] as const) {
      const cut = cutOf(123, 77, 16 / 9, x, y, zoom);
      expect(cut.left >= 0 && cut.top >= 0 && cut.left + cut.width <= 123.001 && cut.top + cut.height <= 77.001).toBe(true);
      expect(cut.width / cut.height).toBeCloseTo(16 / 9);
    }
  });
});
