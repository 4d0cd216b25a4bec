/**
 * The catalogue's rules, applied before a request is sent. The gateway applies the same rules from the same file; what is
 * decided here only saves a round trip.
 */
import type { Mode, Model, Parameter } from "../../api/client";
import type { Pictures, Values } from "../../api/draft";

/** What is wrong, by field. */
export type Wrong = Record<string, string>;

/** The parameters a mode takes, in the catalogue's order. */
export function parametersOf(model: Model, mode: Mode): Parameter[] {
  return model.parameters.filter((one) => !one.modes?.length || one.modes.includes(mode.id));
}

export function defaultText(parameter: Parameter): string {
  return parameter.default == null ? "" : String(parameter.default);
}

/** What is wrong with one value, in words; null when nothing is. */
export function fault(parameter: Parameter, text: string): string | null {
  if (parameter.locked) return null;
  if (parameter.kind === "text") {
    if (parameter.required && !text.trim()) return "Write something here.";
    if (parameter.max_length != null && text.length > parameter.max_length)
      return `${text.length} characters; ${parameter.max_length} at most.`;
    return null;
  }
  if (parameter.kind === "choice") return parameter.choices?.includes(text) ? null : "Choose one.";
  if (!text.trim()) return parameter.default == null ? "Give a number." : null;
  const value = Number(text);
  if (!Number.isFinite(value)) return "Give a number.";
  if (parameter.kind === "integer" && !Number.isInteger(value)) return "Give a whole number.";
  if (parameter.minimum != null && value < parameter.minimum) return `${parameter.minimum} at least.`;
  if (parameter.maximum != null && value > parameter.maximum) return `${parameter.maximum} at most.`;
  if (parameter.kind === "integer" && parameter.step && (value - (parameter.offset ?? 0)) % parameter.step !== 0)
    return `Not allowed; ${nearest(parameter, value)} is the nearest.`;
  return null;
}

/** The allowed number nearest to `value`. */
export function nearest(parameter: Parameter, value: number): number {
  const step = parameter.step ?? 1;
  const offset = parameter.offset ?? 0;
  const round = Math.round((value - offset) / step) * step + offset;
  const low = parameter.minimum ?? round;
  const high = parameter.maximum ?? round;
  return round < low ? round + step : round > high ? round - step : round;
}

/** Everything that is wrong with a request, by field. Empty when it can be sent. */
export function faults(model: Model, mode: Mode, values: Values, pictures: Pictures): Wrong {
  const wrong: Wrong = {};
  for (const parameter of parametersOf(model, mode)) {
    const found = fault(parameter, values[parameter.name] ?? defaultText(parameter));
    if (found) wrong[parameter.name] = found;
  }
  const size = ["width", "height"].map((name) => Number(valueOf(model, values, name)));
  const pixels = (size[0] ?? 0) * (size[1] ?? 0);
  if (!wrong["width"] && !wrong["height"] && pixels > model.max_pixels)
    wrong["width"] = `${pixels} pixels a frame are too many; ${model.max_pixels} at most.`;
  for (const slot of mode.images ?? []) {
    const given = pictures[slot.field] ?? [];
    if (given.length < slot.minimum) wrong[slot.field] = slot.many ? `Add ${slot.minimum} at least.` : "Add a picture.";
    else if (given.length > slot.maximum) wrong[slot.field] = `${slot.maximum} at most.`;
    else if (slot.many && new Set(given.map((one) => one.position)).size < given.length)
      wrong[slot.field] = "Two pictures stand at one place.";
  }
  return wrong;
}

/** What stands in a field: what was typed, or the default. */
export function valueOf(model: Model, values: Values, name: string): string {
  const parameter = model.parameters.find((one) => one.name === name);
  return values[name] ?? (parameter ? defaultText(parameter) : "");
}

/** The body of the request. Only what differs from the defaults is named, so that the defaults stay the gateway's. */
export function bodyOf(model: Model, mode: Mode, values: Values, pictures: Pictures, format: string): Record<string, unknown> {
  const body: Record<string, unknown> = { model: model.id, mode: mode.id };
  for (const parameter of parametersOf(model, mode)) {
    const text = values[parameter.name];
    if (parameter.locked || text === undefined || (text.trim() === "" && !parameter.required)) continue;
    body[parameter.name] = parameter.kind === "text" || parameter.kind === "choice" ? text : Number(text);
  }
  for (const slot of mode.images ?? []) {
    const given = pictures[slot.field] ?? [];
    body[slot.field] = slot.many ? given.map((one) => ({ image: one.asset, position: one.position ?? 0 })) : given[0]?.asset;
  }
  if (format && format !== model.output_formats[0]) body["output_format"] = format;
  return body;
}
