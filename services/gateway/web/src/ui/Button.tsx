import type { ButtonHTMLAttributes } from "react";

const KINDS = {
  primary: "bg-accent text-on-accent hover:opacity-90",
  plain: "border border-line bg-card hover:bg-raised",
  quiet: "hover:bg-raised",
  danger: "border border-bad text-bad bg-card hover:bg-raised",
};

/** The look of a button, for links that look like one. */
export function buttonLook(kind: keyof typeof KINDS = "plain", small = false): string {
  const size = small ? "px-2.5 py-1 text-xs" : "px-3.5 py-2 text-sm";
  return `inline-flex items-center justify-center gap-1.5 rounded-lg font-medium whitespace-nowrap disabled:opacity-50 disabled:cursor-not-allowed ${size} ${KINDS[kind]}`;
}

interface Props extends ButtonHTMLAttributes<HTMLButtonElement> {
  kind?: keyof typeof KINDS;
  small?: boolean;
}

export function Button({ kind = "plain", small = false, className = "", type = "button", ...rest }: Props) {
  return <button type={type} className={`${buttonLook(kind, small)} ${className}`} {...rest} />;
}
