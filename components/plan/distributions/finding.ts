/**
 * What a check of a profile finds: plain objects, so that the checks stay pure and one caller decides whether a finding
 * stops the run, is only shown, or is told with the place in the inventory where its setting stands.
 */

/** One finding of a check. */
export interface Finding {
  /** `error`: the device would not work, so nothing is rendered. `warning`: it works, but look at it. */
  readonly severity: "error" | "warning";
  /**
   * Keys that lead to the setting in a layer of the inventory, e.g. `["registries", "docker.io", "username"]`. `host` and
   * `joins` are fields of the device's entry, `memory` is one of the model's.
   */
  readonly setting: readonly string[];
  /** `<what is wrong> - <what to write instead>`. Holds no secret. */
  readonly message: string;
}

/** A finding that stops the rendering. @param setting as in {@link Finding}; a text is split at its dots */
export function error(setting: string | readonly string[], message: string): Finding {
  return finding("error", setting, message);
}

/** A finding that is only shown. @param setting as in {@link Finding}; a text is split at its dots */
export function warning(setting: string | readonly string[], message: string): Finding {
  return finding("warning", setting, message);
}

function finding(severity: Finding["severity"], setting: string | readonly string[], message: string): Finding {
  return { severity, setting: typeof setting === "string" ? setting.split(".") : setting, message };
}

/** `<setting>: <what is wrong> - <what to write instead>` */
export function describeFinding({ setting, message }: Pick<Finding, "setting" | "message">): string {
  return `${setting.join(".")}: ${message}`;
}

/**
 * Passes the warnings on and stops at errors.
 * @param id device that the findings are about
 * @returns the texts of the warnings, in order
 * @throws Error `device <id>: <finding>; <finding>` with every error
 */
export function requireNoErrors(id: string, findings: readonly Finding[]): string[] {
  const texts = (severity: Finding["severity"]) =>
    findings.filter((finding) => finding.severity === severity).map(describeFinding);
  const errors = texts("error");
  if (errors.length > 0) throw new Error(`device ${id}: ${errors.join("; ")}`);
  return texts("warning");
}
