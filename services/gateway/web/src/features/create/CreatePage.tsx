/** Making a clip: the form on one side, the clips that are on their way on the other. */
import { useQuery } from "@tanstack/react-query";
import { Loading, ProblemNotice } from "../../ui/Notice";
import { modelsQuery } from "../../api/queries";
import { Now } from "../../task/Now";
import { CreateForm } from "./CreateForm";

export function CreatePage() {
  const models = useQuery(modelsQuery());
  return (
    <div className="grid items-start gap-6 lg:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
      <section aria-labelledby="create" className="panel">
        <h1 id="create" className="mb-4 text-xl font-semibold">
          Make a clip
        </h1>
        {models.isPending ? (
          <Loading what="the models" />
        ) : models.error ? (
          <ProblemNotice error={models.error} />
        ) : (
          <>
            {models.data.profile === "tiny" && (
              <p className="-mt-2 mb-4 rounded-lg bg-raised px-3 py-2 text-sm">
                This machine runs tiny test models: their clips are noise of the right shape. Everything else is as with real ones.
              </p>
            )}
            <CreateForm catalogue={models.data} />
          </>
        )}
      </section>
      <Now />
    </div>
  );
}
