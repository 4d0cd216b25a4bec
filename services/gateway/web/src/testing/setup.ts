import { cleanup } from "@testing-library/react";
import { afterEach, beforeEach } from "vitest";
import { live } from "../api/live";

// jsdom shows no modal dialogs; whether they trap the focus is for the browser tests.
HTMLDialogElement.prototype.showModal ??= function (this: HTMLDialogElement) {
  this.open = true;
};

beforeEach(() => {
  window.sessionStorage.clear();
  live.forget();
});
afterEach(cleanup);
