/**
 * The components Hub and RegionRegistration in a program of a user's own, on the real engine and a real API server: what
 * the region's account registers, how a device leaves, and what the engine refuses where no program looks before. One
 * story.
 */
import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { stringify } from "yaml";
import type { ApplicationSet } from "../../components/gitops/objects.ts";
import type { HubRegion } from "../../components/hub/args.ts";
import { principalSecrets } from "../../components/hub/principal/index.ts";
import type { PrincipalPlan } from "../../components/hub/principal/plan.ts";
import { openFleetAuthority } from "../../components/identity/authority.ts";
import { issuePrincipalCertificate } from "../../components/identity/principal.ts";
import { type ApiObject, listApi } from "../lab/hub/api.ts";
import { type Hub, startHub } from "../lab/hub/index.ts";
import { runCommand } from "../lab/run-command.ts";
import { enterLab } from "../lab/scenario.ts";
import { argocdManifests } from "../lab/toolchain/index.ts";
import { authorityKey } from "../unit/identity/keys.ts";

const toolchain = await enterLab();
const REPOSITORY = join(import.meta.dirname, "../..");

const PROGRAM = `import { readFileSync } from "node:fs";
import * as pulumi from "@pulumi/pulumi";
import { Hub, loadArgoCd, readCluster, readClusterUid, RegionRegistration } from "./components/index.ts";

export default async function main() {
  const { lock, regions, devices, removed, regionRemoved, applicationSets, blocklist } = JSON.parse(readFileSync("input.json", "utf8"));
  const kubeconfig = pulumi.secret(readFileSync(process.env.KUBECONFIG, "utf8"));
  const hub = new Hub("fleet", {
    cluster: { ...readCluster(), kubeconfig, uid: await readClusterUid("fleet", { kubeconfig }) },
    manifests: await loadArgoCd("v3.2.0", lock, "."),
    regions,
    gitUrl: pulumi.output("https://git.example.com/acme/fleet.git"),
    awaitReady: false,
  });
  const tokyo = hub.regions.tokyo;
  if (tokyo === undefined) return;
  const profiles = devices.map((id) => ({
    id, region: "tokyo", model: "rpi4-4g", ring: "canary", labels: {}, gitops: { engine: "argocd-agent" },
  }));
  const kept = { kubeconfig: tokyo.kubeconfig, clusterUid: hub.clusterUid, profiles, applicationSets, blocklist };
  new RegionRegistration("tokyo", { ...kept, removed: new Set(removed), regionRemoved });
}
`;

const SET: ApplicationSet = {
  apiVersion: "argoproj.io/v1alpha1",
  kind: "ApplicationSet",
  metadata: { name: "edge-workloads", namespace: "argocd-tokyo", finalizers: [] },
  spec: {
    goTemplate: true,
    goTemplateOptions: [],
    generators: [],
    syncPolicy: { applicationsSync: "create-update", preserveResourcesOnDeletion: true },
    template: {
      metadata: { name: "x", labels: {}, annotations: {} },
      spec: { project: "x", destination: {} } as ApplicationSet["spec"]["template"]["spec"],
    },
    templatePatch: "",
  },
};

test("a program of a user's own with the components Hub and RegionRegistration", async (t) => {
  const directory = mkdtempSync("/run/edge-fleet-components-");
  const [hub, other] = [
    await startHub({ toolchain, directory: join(directory, "hub") }),
    await startHub({ toolchain, directory: join(directory, "other") }),
  ];
  t.after(() => Promise.all([hub.stop(), other.stop()]));
  const story = new Story(directory, hub, other);
  await story.prepare();
  await t.test("one up installs the hub, and registers devices with the region's account", () => story.install());
  await t.test("a new token is one up, preview included", () => story.newToken());
  await t.test("a principal comes with a region's agents, keeps its token key, and goes with them", () =>
    story.principal(),
  );
  await t.test("the region's account keeps the list of certificates that the principal refuses", () => story.stolen());
  await t.test("a device that vanishes is refused, and nothing is deleted", () => story.deviceVanishes());
  await t.test("a device that is declared removed is inert, and gone once it has left", () => story.deviceRemoved());
  await t.test("a region that vanishes is refused, and its control plane stays", () => story.regionVanishes());
  await t.test("another cluster is refused, and gets no control plane", () => story.otherCluster());
  await t.test("a region that is declared removed leaves in the next run", () => story.regionRemoved());
});

interface Input {
  readonly regions: Readonly<Record<string, HubRegion>>;
  readonly devices: readonly string[];
  readonly removed?: readonly string[];
  readonly regionRemoved?: boolean;
  readonly applicationSets: readonly ApplicationSet[];
  readonly blocklist?: Readonly<Record<string, string>>;
}

const ALL: Input = { regions: { tokyo: {} }, devices: ["a", "b"], applicationSets: [SET] };
const SECRETS = "/api/v1/namespaces/argocd-tokyo/secrets";

class Story {
  readonly #directory: string;
  readonly #hub: Hub;
  readonly #other: Hub;
  #lock: object = {};

  constructor(directory: string, hub: Hub, other: Hub) {
    [this.#directory, this.#hub, this.#other] = [directory, hub, other];
  }

  async prepare(): Promise<void> {
    const manifests = await argocdManifests();
    const { createHash } = await import("node:crypto");
    const file = (url: string) => ({
      url,
      sha256: createHash("sha256").update(readFileSync(url)).digest("hex"),
    });
    const small = join(this.#directory, "install.yaml");
    writeFileSync(small, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cm}\ndata: {key: value}\n");
    const crds = ["application", "applicationset", "appproject"].map((kind) =>
      file(join(manifests.directory, `crds/${kind}-crd.yaml`)),
    );
    this.#lock = { argocd: { "v3.2.0": { crds, controlPlane: file(small) } } };
    for (const name of ["state", "home"]) mkdirSync(join(this.#directory, name));
    for (const name of ["package.json", "node_modules", "components"])
      symlinkSync(join(REPOSITORY, name), join(this.#directory, name));
    writeFileSync(join(this.#directory, "index.ts"), PROGRAM);
    const runtime = { name: "nodejs", options: { typescript: false, nodeargs: "--stack-trace-limit=0" } };
    writeFileSync(join(this.#directory, "Pulumi.yaml"), stringify({ name: "acme", main: "index.ts", runtime }));
    const { code, stderr } = await this.#pulumi(["stack", "init", "all"]);
    assert.equal(code, 0, stderr);
  }

  #pulumi(args: readonly string[], hub = this.#hub) {
    const env = {
      ...toolchain.env,
      PULUMI_HOME: join(this.#directory, "home"),
      PULUMI_BACKEND_URL: `file://${join(this.#directory, "state")}`,
      PULUMI_CONFIG_PASSPHRASE: "components-passphrase",
      PULUMI_SKIP_UPDATE_CHECK: "true",
      PULUMI_CONTINUE_ON_ERROR: "true",
      PULUMI_DEBUG_COMMANDS: "true",
      KUBECONFIG: hub.kubeconfigPath,
    };
    return runCommand("pulumi", [...args, "--non-interactive"], { cwd: this.#directory, env });
  }

  /** Preview, then up with all that CI does to get through. */
  async #run(input: Input, hub = this.#hub): Promise<{ codes: number[]; text: string }> {
    writeFileSync(join(this.#directory, "input.json"), JSON.stringify({ lock: this.#lock, ...input }));
    const before = await this.#pulumi(["preview", "--stack", "all"], hub);
    const run = await this.#pulumi(["up", "--yes", "--skip-preview", "--stack", "all"], hub);
    const text = [before.stdout, before.stderr, run.stdout, run.stderr].join("\n");
    return { codes: [before.code ?? -1, run.code ?? -1], text };
  }

  async #good(input: Input): Promise<void> {
    const { codes, text } = await this.#run(input);
    assert.deepEqual(codes, [0, 0], text);
  }

  async #refused(input: Input, reason: RegExp, hub = this.#hub): Promise<void> {
    const { codes, text } = await this.#run(input, hub);
    assert.ok(
      codes.every((code) => code !== 0),
      text,
    );
    assert.match(text, reason);
  }

  #list(path: string, hub = this.#hub): Promise<readonly ApiObject[]> {
    return listApi(hub.kubeconfigPath, path);
  }

  /** The UIDs of everything in the control plane: equal when nothing was deleted or made anew. */
  async #uids(): Promise<string[]> {
    const kinds = ["api/v1/*/configmaps", "api/v1/*/serviceaccounts", "apis/argoproj.io/v1alpha1/*/appprojects"];
    const lists = await Promise.all(
      [...kinds, "api/v1/*/secrets"].map((path) => this.#list(`/${path.replace("*", "namespaces/argocd-tokyo")}`)),
    );
    const kept = lists.flat().filter(({ metadata }) => metadata.name !== "edge-fleet-region-token");
    return kept.map(({ metadata }) => `${metadata.name} ${(metadata as { uid?: string }).uid}`).sort();
  }

  async #clusters(): Promise<Record<string, string | undefined>> {
    const secrets = (await this.#list(SECRETS)).filter(({ metadata }) => metadata.name.startsWith("cluster-"));
    return Object.fromEntries(
      secrets.map(({ metadata: { name, labels } }) => [
        name,
        labels?.["argocd.argoproj.io/secret-type"] ?? labels?.["edge-fleet.dev/state"],
      ]),
    );
  }

  async install(): Promise<void> {
    await this.#good(ALL);
    assert.deepEqual(await this.#clusters(), { "cluster-a": "cluster", "cluster-b": "cluster" });
    const sets = await this.#list("/apis/argoproj.io/v1alpha1/namespaces/argocd-tokyo/applicationsets");
    assert.deepEqual(
      sets.map(({ metadata }) => metadata.name),
      ["edge-workloads"],
    );
  }

  async newToken(): Promise<void> {
    const before = await this.#uids();
    await this.#good({ ...ALL, regions: { tokyo: { tokenGeneration: 2 } } });
    const tokens = (await this.#list(SECRETS)).filter(({ metadata }) => metadata.name.includes("token"));
    assert.deepEqual(
      tokens.map(({ metadata }) => metadata.name),
      ["edge-fleet-region-token-2"],
    );
    await this.#good(ALL);
    assert.deepEqual(await this.#uids(), before);
  }

  async principal(): Promise<void> {
    const before = await this.#uids();
    const authority = openFleetAuthority(authorityKey());
    const server = issuePrincipalCertificate(authority, { region: "tokyo", addresses: ["hub.example.com"] }, 2026);
    const principal: PrincipalPlan = {
      settings: {
        namespace: "argocd-tokyo",
        image: `quay.io/argoprojlabs/argocd-agent:v0.10.0@sha256:${"a".repeat(64)}`,
        port: 443,
        exposure: { service: "LoadBalancer", annotations: {}, sourceRanges: [] },
        agents: 2,
        certificate: server.certificate,
      },
      secrets: principalSecrets("argocd-tokyo", authority.certificate, server),
    };
    const tokenKey = async () =>
      (await this.#list(SECRETS)).find(({ metadata }) => metadata.name === "argocd-agent-jwt")?.data as {
        "jwt.key": string;
      };
    await this.#good({ ...ALL, regions: { tokyo: { principal } } });
    const made = await tokenKey();
    const key = createPrivateKey(Buffer.from(made["jwt.key"], "base64").toString());
    assert.equal(key.asymmetricKeyType, "rsa");
    const deployments = await this.#list("/apis/apps/v1/namespaces/argocd-tokyo/deployments");
    assert.deepEqual(
      deployments.map(({ metadata }) => metadata.name),
      ["argocd-agent-principal"],
    );
    const later = { ...principal.settings, exposure: { ...principal.settings.exposure, sourceRanges: ["10.0.0.0/8"] } };
    await this.#good({ ...ALL, regions: { tokyo: { principal: { ...principal, settings: later } } } });
    assert.deepEqual(await tokenKey(), made);
    const state = await this.#pulumi(["stack", "export", "--stack", "all"]);
    assert.ok(!state.stdout.includes(server.key.split("\n")[1] ?? ""));
    await this.#good(ALL);
    assert.deepEqual(await this.#list("/apis/apps/v1/namespaces/argocd-tokyo/deployments"), []);
    assert.deepEqual(await this.#uids(), before);
  }

  async stolen(): Promise<void> {
    const listed = async () =>
      (await this.#list("/api/v1/namespaces/argocd-tokyo/configmaps")).find(
        ({ metadata }) => metadata.name === "argocd-agent-tls-blocklist",
      )?.data;
    const [first, second] = ["A", "B"].map((letter) => letter.repeat(64));
    await this.#good({ ...ALL, blocklist: { [first ?? ""]: "a" } });
    assert.deepEqual(await listed(), { [first ?? ""]: "a" });
    await this.#good({ ...ALL, blocklist: { [second ?? ""]: "b" } });
    assert.deepEqual(await listed(), { [second ?? ""]: "b" });
    await this.#good(ALL);
    assert.equal(await listed(), undefined);
  }

  async deviceVanishes(): Promise<void> {
    const before = await this.#uids();
    await this.#refused({ ...ALL, devices: ["a"] }, /tokyo-b.*cannot be deleted\s+because it is protected/s);
    assert.deepEqual(await this.#uids(), before);
  }

  async deviceRemoved(): Promise<void> {
    await this.#good({ ...ALL, removed: ["b"] });
    assert.deepEqual(await this.#clusters(), { "cluster-a": "cluster", "cluster-b": "removed" });
    await this.#good({ ...ALL, devices: ["a"] });
    assert.deepEqual(await this.#clusters(), { "cluster-a": "cluster" });
  }

  async regionVanishes(): Promise<void> {
    const before = await this.#uids();
    await this.#refused({ ...ALL, regions: {} }, /fleet-tokyo-project.*cannot be deleted\s+because it is protected/s);
    assert.deepEqual(await this.#uids(), before);
    await this.#good({ ...ALL, devices: ["a"] });
    assert.deepEqual(await this.#uids(), before);
  }

  async otherCluster(): Promise<void> {
    const before = await this.#uids();
    await this.#refused({ ...ALL, devices: ["a"] }, /fleet-tokyo-namespace.*protect/s, this.#other);
    assert.deepEqual(await this.#uids(), before);
    const namespaces = await this.#list("/api/v1/namespaces", this.#other);
    assert.ok(!namespaces.some(({ metadata }) => metadata.name.startsWith("argocd-")));
    await this.#good({ ...ALL, devices: ["a"] });
    assert.deepEqual(await this.#uids(), before);
  }

  async regionRemoved(): Promise<void> {
    const last = { ...ALL, regions: { tokyo: { removed: true } }, devices: ["a"], regionRemoved: true };
    await this.#good(last);
    assert.deepEqual(await this.#clusters(), { "cluster-a": "removed" });
    await this.#good({ ...ALL, regions: {}, devices: [], applicationSets: [] });
    const namespaces = (await this.#list("/api/v1/namespaces")).map(({ metadata }) => metadata.name);
    assert.ok(!namespaces.includes("argocd-tokyo"), namespaces.join(", "));
  }
}
