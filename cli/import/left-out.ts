/**
 * The account of what an import leaves behind: the fields of a source that were not read, with secrets told apart by
 * their names.
 */
import type { Position } from "../../components/inventory/index.ts";
import type { FieldPath } from "../../components/inventory/problems.ts";
import type { LeftOut } from "./host.ts";

/** Names under which people keep secrets. `keyPath` is a path and no secret. */
const SECRET = /pass(word|wd|phrase)?$|_pass_|token|secret|vault|credential|private_?key$|api_?key|^!vault$/i;
/** Names that look like secrets and are paths or switches. */
const HARMLESS = /(path|file|dir|enabled|become_pass_prompt)$/i;
/** What to do about every secret. */
const SECRET_FIX = "never copied: load SSH keys into the agent, keep other secrets with `pulumi config set --secret`";

/** True when a field of this name holds a secret. */
export function isSecretName(name: string): boolean {
  return SECRET.test(name) && !HARMLESS.test(name);
}

/** Gathers fields by name; positions keep their order. */
export class LeftOutList {
  readonly #fields = new Map<string, { positions: Position[]; fix: string }>();
  readonly #secrets = new Map<string, { positions: Position[]; fix: string }>();

  /**
   * Adds one field.
   * @param name the last part of the field, by which a secret is known
   * @param field the whole field, without indices
   * @param fix what to do instead; not used for secrets
   * @param tagged the source itself marks the value as encrypted
   */
  add(name: string, field: string, position: Position, fix: string, tagged = false): void {
    const secret = tagged || isSecretName(name);
    const list = secret ? this.#secrets : this.#fields;
    const known = list.get(field);
    if (known === undefined) list.set(field, { positions: [position], fix: secret ? SECRET_FIX : fix });
    else known.positions.push(position);
  }

  /** Fields that are no secrets, in the order in which they were met. */
  get fields(): LeftOut[] {
    return [...this.#fields].map(([field, rest]) => ({ field, ...rest }));
  }

  /** Secrets, in the order in which they were met. */
  get secrets(): LeftOut[] {
    return [...this.#secrets].map(([field, rest]) => ({ field, ...rest }));
  }
}

/** Paths of all values that are neither map nor list, and of empty ones. */
export function leafPaths(value: unknown, prefix: FieldPath = []): FieldPath[] {
  if (typeof value !== "object" || value === null) return [prefix];
  const entries: [PropertyKey, unknown][] = Array.isArray(value) ? [...value.entries()] : Object.entries(value);
  if (entries.length === 0) return [prefix];
  return entries.flatMap(([key, child]) => leafPaths(child, [...prefix, key]));
}

/** `spec.hosts[].ssh` for `["spec", "hosts", 3, "ssh"]`. */
export function generalPath(path: FieldPath): string {
  return path
    .map((part) => (typeof part === "number" ? "[]" : `.${String(part)}`))
    .join("")
    .replace(/^\./, "");
}
