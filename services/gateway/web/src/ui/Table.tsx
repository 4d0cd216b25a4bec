import type { ReactNode } from "react";

/** Rows under named columns. Scrolls by itself where the screen is narrow, and can then be reached by keyboard. */
export function Table({ label, columns, children }: { label: string; columns: string[]; children: ReactNode }) {
  return (
    <div className="overflow-x-auto" tabIndex={0} role="region" aria-label={label}>
      <table className="w-full min-w-[42rem] text-sm [&_td]:py-1.5 [&_td]:pr-3">
        <thead className="text-left text-xs text-dim">
          <tr>
            {columns.map((name) => (
              <th key={name} scope="col" className="py-1 pr-3 font-medium">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}
