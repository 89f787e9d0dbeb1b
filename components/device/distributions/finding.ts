/**
 * What a check of a profile finds: plain objects, so that the checks stay pure and one caller decides whether a finding
 * stops the run or is only shown.
 */

/** One finding of a check. */
export interface Finding {
  /** `error`: the device would not work, so nothing is rendered. `warning`: it works, but look at it. */
  readonly severity: "error" | "warning";
  /** `<setting>: <what is wrong> - <what to write instead>`. Holds no secret. */
  readonly text: string;
}

/** A finding that stops the rendering. */
export function error(text: string): Finding {
  return { severity: "error", text };
}

/** A finding that is only shown. */
export function warning(text: string): Finding {
  return { severity: "warning", text };
}

/**
 * Passes the warnings on and stops at errors.
 * @param id device that the findings are about
 * @returns the texts of the warnings, in order
 * @throws Error `device <id>: <finding>; <finding>` with every error
 */
export function requireNoErrors(id: string, findings: readonly Finding[]): string[] {
  const texts = (severity: Finding["severity"]) =>
    findings.flatMap((finding) => (finding.severity === severity ? [finding.text] : []));
  const errors = texts("error");
  if (errors.length > 0) throw new Error(`device ${id}: ${errors.join("; ")}`);
  return texts("warning");
}
