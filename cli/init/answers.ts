/**
 * What a new fleet is made from: the answers, their defaults, and the checks that the flags and the questions share.
 * Each check gives a value, or a message that says how to fix the text.
 */
import { z } from "zod";
import { engineRequestMiB } from "../../components/gitops/engine/argocd/settings.ts";
import { DEFAULT_SETTINGS, DISTRIBUTION_NAMES, type Profile } from "../../components/inventory/index.ts";
import { memoryMiB } from "../../components/inventory/profile.ts";
import { FleetSchema, ModelSchema } from "../../components/inventory/schema.ts";
import { ModelNameSchema, RegionNameSchema } from "../../components/inventory/settings-schema.ts";
import { DISTRIBUTIONS } from "../../components/plan/distributions/index.ts";
import { MINIMUM_MEMORY_MIB, podMemoryMiB } from "../../components/plan/distributions/reservations.ts";
import { UsageError } from "../exit.ts";

/** CI systems that init writes a pipeline for. */
export type InitCi = "github" | "gitlab" | "none";

/** Everything that init has to know. */
export interface Answers {
  /** Name of the fleet. */
  readonly name: string;
  /** URL of the Git repository as devices reach it. */
  readonly gitUrl: string;
  /** Region names, in the order in which they were given. */
  readonly regions: readonly string[];
  /** Devices to list, spread evenly over the regions. 0: commented examples. */
  readonly devices: number;
  /** How the listed devices' hosts are named: `{region}`, `{n}`, `{n:04}`. */
  readonly hostPattern: string;
  /** Name of the first model. */
  readonly model: string;
  readonly architecture: "amd64" | "arm64";
  /** RAM, e.g. `4Gi`. */
  readonly memory: string;
  readonly distribution: Profile["distribution"];
  /** Release of the distribution. */
  readonly release: string;
  /** SSH log-in user. */
  readonly user: string;
  readonly ci: InitCi;
}

/** The distributions for people, e.g. `a, b or c`. */
export const DISTRIBUTION_CHOICE = choiceOf(DISTRIBUTION_NAMES);

/** Answers where nobody gives one. The name, the URL and the regions have no default. */
export const DEFAULTS = {
  devices: 0,
  hostPattern: "{region}-{n:04}.edge.example.com",
  architecture: "arm64",
  memory: "4Gi",
  distribution: DEFAULT_SETTINGS.distribution,
  user: "root",
  ci: "github",
} as const;

/** Memory that workloads want at least, in MiB, for a pull engine to be of use. */
const WORKLOADS_MIB = 256;

const CHECKS = {
  name: FleetSchema.shape.fleet,
  "git-url": z
    .string()
    .regex(
      /^([a-z][a-z0-9+.-]*:\/\/|[^\s:/]+:(?!\/\/))\S+$/i,
      "is no URL - write e.g. https://git.example.com/acme/fleet.git or git@git.example.com:acme/fleet.git",
    )
    .refine(
      (url) => withoutCredentials(url) === url,
      "holds a user or a password - leave it out: the URL is public in the tree",
    ),
  region: RegionNameSchema.refine(
    (name) => !["fleet", "models", "hub"].includes(name),
    "is the name of another file or stack - use another",
  ),
  model: ModelNameSchema,
  architecture: z.enum(["amd64", "arm64"], "is not an architecture - use amd64 or arm64"),
  memory: ModelSchema.shape.memory,
  distribution: z.enum(DISTRIBUTION_NAMES, `is not a distribution - use ${DISTRIBUTION_CHOICE}`),
  user: z.string().regex(/^[A-Za-z_][A-Za-z0-9_.-]*$/, "is not a user name"),
  devices: z.string().regex(/^\d{1,6}$/, "is not a number of devices - use 0 or more"),
  "host-pattern": z
    .string()
    .regex(/\{n(:0\d)?\}/, "does not number the hosts - write e.g. {region}-{n:04}.edge.example.com"),
  ci: z.enum(["github", "gitlab", "none"], "is not a CI system - use github, gitlab or none"),
} as const;

/** A flag that can be checked alone. */
export type Checked = keyof typeof CHECKS;

/** A Git URL without what may be a token: the user of http(s), the password of any other scheme. */
export function withoutCredentials(url: string): string {
  return url.replace(/^(https?:\/\/)[^/]*@/i, "$1").replace(/^([a-z][a-z0-9+.-]*:\/\/[^/@:]*):[^/]*@/i, "$1@");
}

/** What is wrong with the text of a flag, if anything. */
export function problemWith(flag: Checked, text: string): string | undefined {
  const result = CHECKS[flag].safeParse(text);
  return result.success ? undefined : (result.error.issues[0]?.message ?? "is not allowed");
}

/** @throws UsageError naming the flag */
export function requireValid(flag: Checked, text: string): void {
  const problem = problemWith(flag, text);
  if (problem !== undefined) throw new UsageError(`--${flag} ${withoutCredentials(text)}: ${problem}`);
}

/** Whether Argo CD leaves workloads room on a device with this memory. */
export function fitsArgoCd(memory: string): boolean {
  const whole = memoryMiB(memory);
  return whole >= MINIMUM_MEMORY_MIB && podMemoryMiB(whole) - engineRequestMiB(whole) >= WORKLOADS_MIB;
}

/** Name of a model where nobody gives one, e.g. `arm64-4g`. */
export function defaultModel(architecture: string, memory: string): string {
  return `${architecture}-${memory.replace(/i$/, "").toLowerCase()}`;
}

/**
 * Checks the answers against each other.
 * @throws UsageError naming the flag that fixes it
 */
export function checkAnswers(answers: Answers): void {
  const { regions, distribution, memory } = answers;
  const twice = regions.find((region, index) => regions.indexOf(region) !== index);
  if (twice !== undefined) throw new UsageError(`--region ${twice} is given twice - give each region once`);
  const fitting = DISTRIBUTION_NAMES.filter((name) => DISTRIBUTIONS[name].memoryMiB <= memoryMiB(memory));
  if (fitting.includes(distribution)) return;
  const fix = fitting.length === 0 ? "use a larger device" : `use ${choiceOf(fitting)}`;
  throw new UsageError(
    `--distribution ${distribution} needs ${DISTRIBUTIONS[distribution].memoryMiB / 1024}Gi and --memory is ${memory} - ${fix}`,
  );
}

function choiceOf(names: readonly string[]): string {
  return [names.slice(0, -1).join(", "), ...names.slice(-1)].filter((part) => part !== "").join(" or ");
}
