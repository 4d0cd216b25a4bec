import { describe, expect, it } from "vitest";
import { tokenOf } from "./SignInPage";

describe("a link", () => {
  it.each(["http://x/app/sign-in#abc", "#abc", " abc "])("reads the token of %s", (text) => expect(tokenOf(text)).toBe("abc"));
});
