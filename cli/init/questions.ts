/**
 * The questions of init: what the flags left open, asked one at a time, with the default shown and each answer checked
 * before the next. The terminal is an argument, so that a test can play the person.
 */
import { distributionOf } from "../../components/plan/distributions/index.ts";
import {
  type Answers,
  type Checked,
  DEFAULTS,
  DISTRIBUTION_CHOICE,
  defaultModel,
  problemWith,
  withoutCredentials,
} from "./answers.ts";

/** Asks one question and resolves to the line that was typed. */
export type Ask = (question: string) => Promise<string>;

/** Answers that the flags gave. */
export type GivenAnswers = { readonly [K in keyof Answers]?: Answers[K] | undefined };

/** Flags without which there is no fleet. */
const NEEDED = { name: "--name", gitUrl: "--git-url", regions: "--region" } as const;

/** Flags that are missing where nobody can be asked. */
export function missingFlags(given: GivenAnswers): string[] {
  return Object.entries(NEEDED).flatMap(([key, flag]) =>
    given[key as keyof typeof NEEDED] === undefined ? [flag] : [],
  );
}

/** Completes the answers with the defaults. The three needed ones must be there. */
export function withDefaults(given: GivenAnswers & Pick<Answers, keyof typeof NEEDED>): Answers {
  const architecture = given.architecture ?? DEFAULTS.architecture;
  const memory = given.memory ?? DEFAULTS.memory;
  const distribution = given.distribution ?? DEFAULTS.distribution;
  return {
    name: given.name,
    gitUrl: given.gitUrl,
    regions: given.regions,
    devices: given.devices ?? DEFAULTS.devices,
    hostPattern: given.hostPattern ?? DEFAULTS.hostPattern,
    model: given.model ?? defaultModel(architecture, memory),
    architecture,
    memory,
    distribution,
    release: given.release ?? distributionOf({ distribution }).release,
    user: given.user ?? DEFAULTS.user,
    ci: given.ci ?? DEFAULTS.ci,
  };
}

/**
 * Asks for what is open.
 * @param ask the terminal; it rejects when the person gives up
 * @param say shows what is wrong with an answer
 * @param remote URL of the repository's own remote, the default for the Git URL
 * @param listed the devices come from a file: their number is not asked for
 */
export async function askAnswers(
  given: GivenAnswers,
  ask: Ask,
  say: (line: string) => void,
  { remote, listed }: { readonly remote: string | undefined; readonly listed: boolean },
): Promise<Answers> {
  const question = questioner(ask, say);
  const name = given.name ?? (await question("name", "Name of the fleet", undefined));
  const gitUrl = given.gitUrl ?? (await question("git-url", "Git URL of this repository, as devices reach it", remote));
  const regions = given.regions ?? splitList(await question("region", "Regions, with commas between", undefined, true));
  const count = "Devices to list, all regions together (0: examples to fill in)";
  const devices = given.devices ?? (listed ? 0 : Number(await question("devices", count, String(DEFAULTS.devices))));
  const pattern = "Host names of the devices";
  const hostPattern =
    given.hostPattern ?? (devices > 0 ? await question("host-pattern", pattern, DEFAULTS.hostPattern) : undefined);
  const architecture = (given.architecture ??
    (await question("architecture", "Architecture: arm64 or amd64", DEFAULTS.architecture))) as Answers["architecture"];
  const memory = given.memory ?? (await question("memory", "Memory of a device", DEFAULTS.memory));
  const distribution = (given.distribution ??
    (await question(
      "distribution",
      `Kubernetes: ${DISTRIBUTION_CHOICE}`,
      DEFAULTS.distribution,
    ))) as Answers["distribution"];
  const user = given.user ?? (await question("user", "SSH user", DEFAULTS.user));
  const ci = (given.ci ?? (await question("ci", "CI: github, gitlab or none", DEFAULTS.ci))) as Answers["ci"];
  return withDefaults({
    ...given,
    name,
    gitUrl,
    regions,
    devices,
    hostPattern,
    architecture,
    memory,
    distribution,
    user,
    ci,
  });
}

/** A question that is asked until its answer is right; an empty line takes the default. */
function questioner(ask: Ask, say: (line: string) => void) {
  return async (flag: Checked, text: string, byDefault: string | undefined, many = false): Promise<string> => {
    for (;;) {
      const typed = (await ask(`${text}${byDefault === undefined ? "" : ` [${byDefault}]`}: `)).trim();
      const answer = typed === "" ? (byDefault ?? "") : typed;
      const parts = many ? splitList(answer) : [answer];
      const problem = parts.map((part) => problemWith(flag, part)).find((found) => found !== undefined);
      if (answer !== "" && parts.length > 0 && problem === undefined) return answer;
      say(
        answer === "" || problem === undefined
          ? "  an answer is needed"
          : `  ${withoutCredentials(answer)}: ${problem}`,
      );
    }
  };
}

function splitList(text: string): string[] {
  return text.split(/[,\s]+/).filter((part) => part !== "");
}
