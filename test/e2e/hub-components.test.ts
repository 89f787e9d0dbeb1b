/**
 * The components Hub and RegionRegistration in a program of a user's own, on the real engine and a real API server: what
 * the region's account registers, how a device leaves, and what the engine refuses where no program looks before. One
 * story.
 */
import assert from "node:assert/strict";
import { createHash, createPrivateKey } from "node:crypto";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { ApplicationSet } from "../../components/gitops/objects.ts";
import type { HubRegion } from "../../components/hub/args.ts";
import type { HubGit } from "../../components/hub/git.ts";
import { type ApiObject, callApi, listApi } from "../lab/hub/api.ts";
import { type Hub, startHub } from "../lab/hub/index.ts";
import { HubProgram, type ProgramInput, tokyoPrincipals, UP } from "../lab/hub/program.ts";
import { enterLab } from "../lab/scenario.ts";
import { settle } from "../lab/settle.ts";
import { argocdManifests } from "../lab/toolchain/index.ts";
import { authorityKey } from "../unit/identity/keys.ts";

const toolchain = await enterLab();
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
  const story = new Story(directory, hub, other, await HubProgram.create(directory, toolchain));
  await story.writeInstall("first");
  await t.test("one up installs the hub, and registers devices with the region's account", () => story.install());
  await t.test("a new token is one up, preview included; settings and credentials change in place", () =>
    story.newToken(),
  );
  await t.test(
    "a principal comes with a region's agents, keeps its token key, is told what to refuse, and goes with them",
    () => story.principal(),
  );
  await t.test(
    "a principal of another release comes without a change to the first, and the first goes without one to it",
    () => story.nextPrincipal(),
  );
  await t.test("a device that vanishes is refused, and nothing is deleted", () => story.deviceVanishes());
  await t.test("a device that is declared removed is inert, and gone once it has left", () => story.deviceRemoved());
  await t.test("a region that vanishes is refused, and its control plane stays", () => story.regionVanishes());
  await t.test("another cluster is refused, and gets no control plane", () => story.otherCluster());
  await t.test("a region that is declared removed leaves in the next run", () => story.regionRemoved());
});

type Input = Omit<ProgramInput, "lock" | "devices"> & { readonly devices: readonly string[] };

const gitWith = (password: string): HubGit => ({
  credentials: [
    {
      apiVersion: "v1",
      kind: "Secret",
      metadata: {
        name: "git-access",
        namespace: "argocd-tokyo",
        labels: { "argocd.argoproj.io/secret-type": "repository" },
      },
      stringData: { type: "git", url: "https://git.example.com/acme/fleet.git", username: "edge", password },
    },
  ],
  trust: [],
});
const TOKYO: HubRegion = { git: gitWith("first") };
const ALL: Input = { regions: { tokyo: TOKYO }, devices: ["a", "b"], applicationSets: [SET] };
const PRINCIPALS_KEY = authorityKey();
const SECRETS = "/api/v1/namespaces/argocd-tokyo/secrets";
const CONFIG_MAPS = "/api/v1/namespaces/argocd-tokyo/configmaps";

class Story {
  readonly #directory: string;
  readonly #hub: Hub;
  readonly #other: Hub;
  readonly #program: HubProgram;
  #lock: object = {};

  constructor(directory: string, hub: Hub, other: Hub, program: HubProgram) {
    [this.#directory, this.#hub, this.#other, this.#program] = [directory, hub, other, program];
  }

  /** An install that is one ConfigMap. */
  async writeInstall(value: string): Promise<void> {
    const { directory } = await argocdManifests();
    const file = (url: string) => ({ url, sha256: createHash("sha256").update(readFileSync(url)).digest("hex") });
    const small = join(this.#directory, "install.yaml");
    writeFileSync(small, `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cm}\ndata: {key: ${value}}\n`);
    const kinds = ["application", "applicationset", "appproject"];
    const crds = kinds.map((kind) => file(join(directory, `crds/${kind}-crd.yaml`)));
    this.#lock = { argocd: { "v3.2.0": { crds, controlPlane: file(small) } } };
  }

  #run(input: Input, args: readonly string[], hub = this.#hub): Promise<{ code: number; text: string }> {
    const devices = input.devices.map((id) => ({ id }));
    return this.#program.run({ ...input, lock: this.#lock, devices }, args, hub);
  }

  async #good(input: Input, args: readonly string[] = UP): Promise<void> {
    const { code, text } = await this.#run(input, args);
    assert.equal(code, 0, text);
  }

  async #refused(input: Input, reason: RegExp, args: readonly string[] = UP, hub = this.#hub): Promise<void> {
    const { code, text } = await this.#run(input, args, hub);
    assert.notEqual(code, 0, text);
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
    const kept = lists.flat().filter(({ metadata }) => !metadata.name.startsWith("edge-fleet-region-token"));
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
    const written = async () => {
      const [settings] = (await this.#list(CONFIG_MAPS)).filter(({ metadata }) => metadata.name === "argocd-cm");
      const [access] = (await this.#list(SECRETS)).filter(({ metadata }) => metadata.name === "git-access");
      const { password = "" } = (access as { data?: { password?: string } } | undefined)?.data ?? {};
      return [settings?.data, Buffer.from(password, "base64").toString()];
    };
    assert.deepEqual(await written(), [{ key: "first" }, "first"]);
    await this.writeInstall("second");
    const next = { ...ALL, regions: { tokyo: { git: gitWith("second"), tokenGeneration: 2 } } };
    await this.#good(next, ["preview"]);
    await this.#good(next);
    const tokens = (await this.#list(SECRETS)).filter(({ metadata }) => metadata.name.includes("token"));
    assert.deepEqual(
      tokens.map(({ metadata }) => metadata.name),
      ["edge-fleet-region-token-2"],
    );
    assert.deepEqual(await written(), [{ key: "second" }, "second"]);
    assert.deepEqual(await this.#uids(), before);
    await this.#good(ALL);
    assert.deepEqual(await this.#uids(), before);
  }

  async principal(): Promise<void> {
    const before = await this.#uids();
    const principal = tokyoPrincipals(PRINCIPALS_KEY);
    const tokenKey = async () =>
      (await this.#list(SECRETS)).find(({ metadata }) => metadata.name === "argocd-agent-jwt")?.data as {
        "jwt.key": string;
      };
    const refused = async () =>
      (await this.#list(CONFIG_MAPS)).find(({ metadata }) => metadata.name === "argocd-agent-tls-blocklist")?.data;
    const [first, second] = [{ ["A".repeat(64)]: "a" }, { ["B".repeat(64)]: "b" }];
    const installed = this.#good({
      ...ALL,
      regions: { tokyo: { ...TOKYO, principal } },
      blocklist: first,
      waits: "hub",
    });
    await Promise.all([installed, this.#giveAddress("v0-10-0", "192.0.2.7")]);
    assert.deepEqual(await this.#program.principalAddresses(), { "v0.10.0": "192.0.2.7" });
    assert.deepEqual(await refused(), first);
    const named = (await this.#list(CONFIG_MAPS)).map(({ metadata }) => metadata.name);
    assert.ok(named.includes("edge-fleet-registered"), named.join(", "));
    const made = await tokenKey();
    const key = createPrivateKey(Buffer.from(made["jwt.key"], "base64").toString());
    assert.equal(key.asymmetricKeyType, "rsa");
    const deployments = await this.#list("/apis/apps/v1/namespaces/argocd-tokyo/deployments");
    assert.deepEqual(
      deployments.map(({ metadata }) => metadata.name),
      ["argocd-agent-principal-v0-10-0"],
    );
    const later = { ...principal.settings, exposure: { ...principal.settings.exposure, sourceRanges: ["10.0.0.0/8"] } };
    const changed = { ...TOKYO, principal: { ...principal, settings: later } };
    await this.#good({ ...ALL, regions: { tokyo: changed }, blocklist: second });
    assert.deepEqual(await refused(), second);
    assert.deepEqual(await tokenKey(), made);
    const state = await this.#program.pulumi(["stack", "export", "--stack", "all"], this.#hub);
    const [, serverKey = ""] = principal.secrets[1]?.stringData["tls.key"]?.split("\n") ?? [];
    assert.ok(serverKey !== "" && !state.stdout.includes(serverKey));
    await this.#good(ALL);
    assert.deepEqual(await this.#list("/apis/apps/v1/namespaces/argocd-tokyo/deployments"), []);
    assert.deepEqual(await this.#uids(), before);
  }

  async nextPrincipal(): Promise<void> {
    const of = (...versions: string[]): Input => {
      const principal = tokyoPrincipals(PRINCIPALS_KEY, versions);
      return { ...ALL, regions: { tokyo: { ...TOKYO, principal } }, waits: "hub" };
    };
    const before = await this.#uids();
    await Promise.all([this.#good(of("v0.10.0")), this.#giveAddress("v0-10-0", "192.0.2.7")]);
    const first = await this.#principalObjects();
    await Promise.all([this.#good(of("v0.10.0", "v0.11.0")), this.#giveAddress("v0-11-0", "192.0.2.8")]);
    const addresses = { "v0.10.0": "192.0.2.7", "v0.11.0": "192.0.2.8" };
    assert.deepEqual(await this.#program.principalAddresses(), addresses);
    const both = await this.#principalObjects();
    const isOf = (slug: string) => (line: string) => line.includes(slug);
    const added = both.filter(isOf("-v0-11-0"));
    assert.equal(added.length, 6, added.join("\n"));
    assert.deepEqual(
      both.filter((line) => !isOf("-v0-11-0")(line)),
      first,
    );
    await this.#good(of("v0.11.0"));
    assert.deepEqual(
      await this.#principalObjects(),
      both.filter((line) => !isOf("-v0-10-0")(line)),
    );
    assert.deepEqual(await this.#program.principalAddresses(), { "v0.11.0": "192.0.2.8" });
    await this.#good(ALL);
    assert.deepEqual(await this.#uids(), before);
  }

  /** Everything that is a principal's, with the version in which the API server has it: equal when nothing was written. */
  async #principalObjects(): Promise<string[]> {
    const plurals = [
      ...["api/v1/*/configmaps", "api/v1/*/secrets", "api/v1/*/services", "api/v1/*/serviceaccounts"],
      ...["apis/apps/v1/*/deployments", "apis/policy/v1/*/poddisruptionbudgets"],
      ...["networking.k8s.io/v1/*/networkpolicies", "rbac.authorization.k8s.io/v1/*/roles"].map(
        (path) => `apis/${path}`,
      ),
    ];
    const lists = await Promise.all(
      plurals.map((path) => this.#list(`/${path.replace("*", "namespaces/argocd-tokyo")}`)),
    );
    return plurals
      .flatMap((plural, index) =>
        (lists[index] ?? [])
          .filter(({ metadata }) => metadata.labels?.["app.kubernetes.io/name"] === "argocd-agent-principal")
          .map(
            ({ metadata }) =>
              `${plural} ${metadata.name} ${(metadata as { resourceVersion?: string }).resourceVersion}`,
          ),
      )
      .sort();
  }

  /** As a cloud's load balancer does it, once the Service of the principal is there. @param slug of its release */
  async #giveAddress(slug: string, ip: string): Promise<void> {
    const admin = readFileSync(this.#hub.kubeconfigPath, "utf8");
    const path = `/api/v1/namespaces/argocd-tokyo/services/argocd-agent-principal-${slug}/status`;
    const give = async () =>
      (await callApi(admin, "PATCH", path, { status: { loadBalancer: { ingress: [{ ip }] } } })).status;
    assert.equal(await settle(give, 200, 60_000), 200);
  }

  async deviceVanishes(): Promise<void> {
    const before = await this.#uids();
    const reason = /tokyo-b.*cannot be deleted because it is protected/;
    await this.#refused({ ...ALL, devices: ["a"] }, reason, ["preview"]);
    await this.#refused({ ...ALL, devices: ["a"] }, reason);
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
    await this.#refused({ ...ALL, regions: {} }, /fleet-tokyo-project.*cannot be deleted because it is protected/);
    // Credentials are not protected: --continue-on-error takes them away, and the next run writes them again.
    const without = (lines: readonly string[]) => lines.filter((line) => !line.startsWith("git-access "));
    assert.deepEqual(without(await this.#uids()), without(before));
    await this.#good({ ...ALL, devices: ["a"] });
    assert.deepEqual(without(await this.#uids()), without(before));
  }

  async otherCluster(): Promise<void> {
    const before = await this.#uids();
    await this.#refused(
      { ...ALL, devices: ["a"] },
      /unable to replace resource .*::fleet-cluster" as it is currently marked for protection/,
      UP,
      this.#other,
    );
    assert.deepEqual(await this.#uids(), before);
    const namespaces = await this.#list("/api/v1/namespaces", this.#other);
    assert.ok(!namespaces.some(({ metadata }) => metadata.name.startsWith("argocd-")));
    await this.#good({ ...ALL, devices: ["a"] });
    assert.deepEqual(await this.#uids(), before);
  }

  async regionRemoved(): Promise<void> {
    const last = { ...ALL, regions: { tokyo: { ...TOKYO, removed: true } }, devices: ["a"], regionRemoved: true };
    await this.#good(last);
    assert.deepEqual(await this.#clusters(), { "cluster-a": "removed" });
    await this.#good({ ...ALL, regions: {}, devices: [], applicationSets: [] });
    const namespaces = (await this.#list("/api/v1/namespaces")).map(({ metadata }) => metadata.name);
    assert.ok(!namespaces.includes("argocd-tokyo"), namespaces.join(", "));
  }
}
