/**
 * A Pulumi program of a user's own, in a folder of its own, that makes a hub with the components of the package and registers
 * the region tokyo on it. What it makes stands in a file that each run writes.
 */
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import type { ApplicationSet } from "../../../components/gitops/objects.ts";
import type { HubRegion } from "../../../components/hub/args.ts";
import { authoritySecret, serverSecret } from "../../../components/hub/principal/index.ts";
import type { PrincipalPlan } from "../../../components/hub/principal/plan.ts";
import { openFleetAuthority } from "../../../components/identity/authority.ts";
import { issuePrincipalCertificate } from "../../../components/identity/principal.ts";
import { runCommand } from "../run-command.ts";
import type { Toolchain } from "../toolchain/index.ts";
import type { Hub } from "./index.ts";

const REPOSITORY = join(import.meta.dirname, "../../..");

const PROGRAM = `import { readFileSync } from "node:fs";
import * as pulumi from "@pulumi/pulumi";
import { Hub, loadArgoCd, readCluster, readClusterUid, RegionRegistration } from "./components/index.ts";

const DEVICE = { region: "tokyo", model: "rpi4-4g", ring: "canary", labels: {}, gitops: { engine: "argocd-agent" } };

export default async function main() {
  const { lock, gitUrl, regions, devices, waits, removed, ...registered } = JSON.parse(readFileSync("input.json", "utf8"));
  const kubeconfig = pulumi.secret(readFileSync(process.env.KUBECONFIG, "utf8"));
  const hub = new Hub("fleet", {
    cluster: { ...readCluster(), kubeconfig, uid: await readClusterUid("fleet", { kubeconfig }) },
    manifests: await loadArgoCd("v3.2.0", lock, "."),
    regions,
    gitUrl: pulumi.output(gitUrl ?? "https://git.example.com/acme/fleet.git"),
    awaitReady: waits === "hub",
  });
  const tokyo = hub.regions.tokyo;
  if (tokyo === undefined) return {};
  const principals = tokyo.principalAddresses;
  if (devices.length === 0) return { principals };
  new RegionRegistration("tokyo", {
    ...registered,
    kubeconfig: tokyo.kubeconfig,
    clusterUid: hub.clusterUid,
    profiles: devices.map((device) => ({ ...DEVICE, ...device })),
    removed: new Set(removed),
    awaitReady: waits === "region",
  });
  return { principals };
}
`;

/** A device of the program: fields of a profile that differ from those of its constant `DEVICE`. */
export interface ProgramDevice {
  readonly id: string;
  readonly [field: string]: unknown;
}

/** What the program makes. */
export interface ProgramInput {
  /** Of Argo CD v3.2.0, as artifacts.lock.yaml has it. */
  readonly lock: object;
  /** Of the fleet's repository. Default: one that nobody reads. */
  readonly gitUrl?: string;
  readonly regions: Readonly<Record<string, HubRegion>>;
  /** Devices of tokyo; without one, nothing of it is registered. */
  readonly devices: readonly ProgramDevice[];
  /** Which of its parts waits until what it makes is ready; nothing runs a hub's pods. Default: none. */
  readonly waits?: "hub" | "region";
  /** Ids of those that are declared removed. Default: none. */
  readonly removed?: readonly string[];
  /** Default false. */
  readonly regionRemoved?: boolean;
  readonly applicationSets: readonly ApplicationSet[];
  /** See `RegionRegistrationArgs`. Default: none. */
  readonly blocklist?: Readonly<Record<string, string>>;
}

/** The program, its stack `all` and the stack's state. */
export class HubProgram {
  readonly #directory: string;
  readonly #toolchain: Toolchain;

  private constructor(directory: string, toolchain: Toolchain) {
    [this.#directory, this.#toolchain] = [directory, toolchain];
  }

  /** Writes the program. @param directory exists */
  static async create(directory: string, toolchain: Toolchain): Promise<HubProgram> {
    for (const name of ["state", "home"]) mkdirSync(join(directory, name));
    for (const name of ["package.json", "node_modules", "components"])
      symlinkSync(join(REPOSITORY, name), join(directory, name));
    writeFileSync(join(directory, "index.ts"), PROGRAM);
    const runtime = { name: "nodejs", options: { typescript: false, nodeargs: "--stack-trace-limit=0" } };
    writeFileSync(join(directory, "Pulumi.yaml"), stringify({ name: "acme", main: "index.ts", runtime }));
    const program = new HubProgram(directory, toolchain);
    const { code, stderr } = await program.pulumi(["stack", "init", "all"], undefined);
    if (code !== 0) throw new Error(stderr);
    return program;
  }

  /** Runs Pulumi's command. @param hub whose kubeconfig it gets; undefined: none */
  pulumi(args: readonly string[], hub: Hub | undefined) {
    const env = {
      ...this.#toolchain.env,
      PULUMI_HOME: join(this.#directory, "home"),
      PULUMI_BACKEND_URL: `file://${join(this.#directory, "state")}`,
      PULUMI_CONFIG_PASSPHRASE: "components-passphrase",
      PULUMI_SKIP_UPDATE_CHECK: "true",
      PULUMI_CONTINUE_ON_ERROR: "true",
      PULUMI_DEBUG_COMMANDS: "true",
      ...(hub === undefined ? {} : { KUBECONFIG: hub.kubeconfigPath }),
    };
    return runCommand("pulumi", [...args, "--non-interactive"], { cwd: this.#directory, env });
  }

  /** Runs the program. @returns its messages on one line */
  async run(input: ProgramInput, args: readonly string[], hub: Hub): Promise<{ code: number; text: string }> {
    writeFileSync(join(this.#directory, "input.json"), JSON.stringify(input));
    const { code, stdout, stderr } = await this.pulumi([...args, "--stack", "all"], hub);
    return { code: code ?? -1, text: `${stdout}\n${stderr}`.replace(/\s+/g, " ") };
  }

  /** The addresses of tokyo's principals, as the stack's outputs have them. */
  async principalAddresses(): Promise<unknown> {
    const { stdout } = await this.pulumi(["stack", "output", "--json", "--stack", "all"], undefined);
    return (JSON.parse(stdout) as { principals?: unknown }).principals;
  }
}

/** Principals of tokyo. @param key of the fleet's authority, PEM @param versions their releases. Default: one */
export function tokyoPrincipals(key: string, versions: readonly string[] = ["v0.10.0"]): PrincipalPlan {
  const namespace = "argocd-tokyo";
  const authority = openFleetAuthority(key);
  const principals = versions.map((version) => {
    const addresses = [`${version}.hub.example.com`];
    const server = issuePrincipalCertificate(authority, { region: "tokyo", addresses }, 2026);
    const image = `quay.io/argoprojlabs/argocd-agent:${version}@sha256:${"a".repeat(64)}`;
    return { release: { version, image, port: 443, certificate: server.certificate }, server };
  });
  return {
    settings: {
      ...{ namespace, agents: 2, releases: principals.map(({ release }) => release) },
      exposure: { service: "LoadBalancer", annotations: {}, sourceRanges: [] },
    },
    secrets: [
      authoritySecret(namespace, authority.certificate),
      ...principals.map(({ release, server }) => serverSecret(namespace, release.version, server)),
    ],
  };
}

/** As in CI: what a preview would have refused must not get through either. */
export const UP = ["up", "--yes", "--skip-preview"];
