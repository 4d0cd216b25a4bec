/** The catalogue's own words for what requests name by id. An id that the catalogue does not know stands for itself. */
import { useQuery } from "@tanstack/react-query";
import { modelsQuery } from "./queries";

export interface Names {
  model: (id: string) => string;
  mode: (model: string, id: string) => string;
  parameter: (model: string, name: string) => string;
}

export function useNames(): Names {
  const models = useQuery(modelsQuery()).data?.models ?? [];
  const find = (id: string) => models.find((one) => one.id === id);
  return {
    model: (id) => find(id)?.title ?? id,
    mode: (model, id) => find(model)?.modes.find((one) => one.id === id)?.title ?? id,
    parameter: (model, name) => find(model)?.parameters.find((one) => one.name === name)?.title ?? name.replaceAll("_", " "),
  };
}
