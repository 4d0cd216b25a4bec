import { describe, expect, it } from "vitest";
import { task } from "../../testing/samples";
import { differences } from "./ComparePage";

describe("comparing", () => {
  it("tells what differs between two tasks", () =>
    expect(differences(task(), task({ seed: 8, params: { prompt: "a swan", width: 48 } }))).toEqual([
      ["width", "32", "48"],
      ["seed", "7", "8"],
    ]));
});
