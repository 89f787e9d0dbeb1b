/**
 * The hub through the real engine and a real API server: what is installed, what a region's account may do, what stops
 * it, and a second region. One lab, one story.
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { parse, stringify } from "yaml";
import type { RegionOutputs } from "../../components/region/outputs.ts";
import { K3S_VERSIONS, type LabDeviceRequest, type LabFleet, REGION, startLabFleet } from "../lab/fleet.ts";
import { type ApiObject, callApi, getApi, listApi } from "../lab/hub/api.ts";
import {
  deviceState,
  type EngineRun,
  enterLab,
  exportStack,
  preview,
  registered,
  touched,
  up,
} from "../lab/scenario.ts";
import { argocdManifests } from "../lab/toolchain/index.ts";

const toolchain = await enterLab();

const NAMESPACE = `argocd-${REGION}`;
const { directory: manifests } = await argocdManifests();
const DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const SECRETS = `/api/v1/namespaces/${NAMESPACE}/secrets`;
const DEVICES = ["shop-0", "shop-1"];
const requests = DEVICES.map((id): LabDeviceRequest => ({ id, model: "nuc-4g", ring: "canary" }));

test("a hub through its life", async (t) => {
  const fleet = await startLabFleet({ toolchain, devices: requests });
  t.after(() => fleet.stop());
  const enrolled = await fleet.edgeFleet(["enroll", REGION, "--yes"]);
  assert.equal(enrolled.code, 0, enrolled.stderr);
  const story = new Story(fleet);
  await t.test("a region whose hub has no stack says how to make one", () => story.noHubStack());
  await t.test("a region whose hub is not installed is refused", () => story.regionAlone());
  await t.test("a manifest that is not the locked one stops everything", () => story.wrongManifest());
  await t.test("a kubeconfig or context that is not there stops everything and names those that are", () =>
    story.wrongKubeconfig(),
  );
  await t.test("definitions of another Argo CD are refused in preview and up, and stay as they are", () =>
    story.foreignDefinitions(),
  );
  await t.test("an up installs the definitions once and the region's control plane", () => story.install());
  await t.test("projects let workloads come from the fleet's repository only", () => story.projects());
  await t.test("a second up changes nothing and keeps the generated key", () => story.again());
  await t.test("the region's kubeconfig is secret and ends at its namespace", () => story.account());
  await t.test("the region then registers its devices with that account", () => story.register());
  await t.test("another token generation ends the region's token and gives it a new one", () => story.newToken());
  await t.test("a second region gets a control plane of its own and leaves the first alone", () =>
    story.secondRegion(),
  );
  await t.test("a hub that does not answer is one error, and no change", () => story.hubStackDown());
  await t.test("while the hub is down a region's devices are applied all the same", () => story.hubDown());
});

class Story {
  readonly #fleet: LabFleet;
  readonly #kubeconfig: string;

  constructor(fleet: LabFleet) {
    this.#fleet = fleet;
    this.#kubeconfig = fleet.kubeconfig ?? "";
  }

  #list(path: string): Promise<readonly ApiObject[]> {
    return listApi(this.#kubeconfig, path);
  }

  async #names(path: string): Promise<string[]> {
    return (await this.#list(path)).map(({ metadata }) => metadata.name).sort();
  }

  #upHub(): Promise<EngineRun> {
    return up(this.#fleet, "hub");
  }

  #upRegion(): Promise<EngineRun> {
    return up(this.#fleet);
  }

  async #settingsKey(): Promise<string> {
    const secret = (await this.#list(SECRETS)).find(({ metadata }) => metadata.name === "argocd-secret");
    const { data } = (secret as { data?: Record<string, string> } | undefined) ?? {};
    return data?.["server.secretkey"] ?? "";
  }

  async noHubStack(): Promise<void> {
    const removed = await this.#fleet.pulumi(["stack", "rm", "hub", "--yes", "--preserve-config"]);
    assert.equal(removed.code, 0, removed.stderr);
    const run = await this.#upRegion();
    assert.notEqual(run.code, 0);
    assert.match(run.text, /the outputs of the hub's stack hub cannot be read: .* - run pulumi up on it first/);
    assert.equal(run.text.split("\n").filter((line) => /^ +error: /.test(line)).length, 1, run.text);
    assert.deepEqual(await registered(this.#fleet), []);
    const created = await this.#fleet.pulumi(["stack", "init", "hub"]);
    assert.equal(created.code, 0, created.stderr);
  }

  async regionAlone(): Promise<void> {
    const run = await this.#upRegion();
    assert.notEqual(run.code, 0);
    assert.match(run.text, /the hub's stack hub has no output kubeconfig-loopback - run pulumi up --stack hub first/);
    assert.deepEqual(await registered(this.#fleet), []);
  }

  async wrongManifest(): Promise<void> {
    const lock = readFileSync(`${this.#fleet.inventory}/artifacts.lock.yaml`, "utf8");
    const locked = /namespace-install\.yaml\n\s+sha256: (\w+)/.exec(lock)?.[1] ?? "";
    assert.match(locked, /^[0-9a-f]{64}$/);
    const wrong = "0".repeat(64);
    const set = (sum: string) =>
      this.#fleet.edit("artifacts.lock.yaml", (file) => {
        const [version] = Object.keys((file.toJS() as { argocd: object }).argocd);
        file.setIn(["argocd", version, "controlPlane", "sha256"], sum);
      });
    set(wrong);
    const run = await this.#upHub();
    assert.notEqual(run.code, 0);
    const message = `namespace-install.yaml: its SHA-256 is ${locked} and not ${wrong} as locked`;
    assert.ok(run.text.includes(message), run.text);
    assert.doesNotMatch(run.text, /^\s+at .*:\d+/m, "no stack trace");
    const argocd = (names: string[]) => names.filter((name) => name.includes("argo"));
    assert.deepEqual(argocd(await this.#names("/api/v1/namespaces")), []);
    assert.deepEqual(argocd(await this.#names(DEFINITIONS)), []);
    set(locked);
  }

  async wrongKubeconfig(): Promise<void> {
    const settings = (...args: string[]) => this.#fleet.pulumi(["config", ...args, "--stack", "hub"]);
    assert.equal((await settings("set", "edge-fleet:context", "nowhere")).code, 0);
    const context = await this.#upHub();
    assert.equal((await settings("rm", "edge-fleet:context")).code, 0);
    const env = { KUBECONFIG: "/nonexistent/config" };
    const file = await up(this.#fleet, "hub", { env });
    for (const [run, message] of [
      [context, /error: kubeconfig \/\S+admin\.kubeconfig: has no context "nowhere" - use one of: \S+$/m],
      [file, /error: kubeconfig \/nonexistent\/config: does not exist - set KUBECONFIG to the kubeconfig of the hub/],
    ] as const) {
      assert.notEqual(run.code, 0);
      assert.match(run.text, message);
      assert.doesNotMatch(run.text, /^\s+at .*:\d+/m, "no stack trace");
    }
    const resources = (await exportStack(this.#fleet, "hub")).resources;
    assert.deepEqual(
      resources.filter(({ type }) => type !== "pulumi:pulumi:Stack"),
      [],
    );
  }

  async foreignDefinitions(): Promise<void> {
    const crd = readFileSync(join(manifests, "crds/application-crd.yaml"), "utf8");
    const definition = parse(crd) as ApiObject;
    const path = `${DEFINITIONS}/${definition.metadata.name}`;
    const helm = { "meta.helm.sh/release-name": "argo", "meta.helm.sh/release-namespace": "tools" };
    const theirs = { ...definition, metadata: { ...definition.metadata, annotations: helm } };
    const admin = readFileSync(this.#kubeconfig, "utf8");
    assert.equal((await callApi(admin, "POST", DEFINITIONS, theirs)).status, 201);
    const { body: before } = await getApi(admin, path);
    for (const run of [await preview(this.#fleet, "hub"), await this.#upHub()]) {
      assert.notEqual(run.code, 0);
      assert.match(run.text, /applications\.argoproj\.io \(Helm release tools\/argo\)/);
      assert.match(run.text, /write hub\.definitions: adopt into fleet\.yaml/);
      assert.doesNotMatch(run.text, /^\s+at .*:\d+/m, "no stack trace");
      assert.ok(touched(run).every((name) => !name.startsWith("hub-crds") && !name.includes(REGION)));
    }
    const generation = (object: unknown) => (object as { metadata: { generation: number } }).metadata.generation;
    const { body: after } = await getApi(admin, path);
    assert.equal(generation(after), generation(before));
    // As a run leaves them that was killed before it saved its state: the next step has to take it over.
    const own = { metadata: { labels: { "edge-fleet.dev/fleet": "lab" }, annotations: null } };
    assert.equal((await callApi(admin, "PATCH", path, own)).status, 200);
  }

  async install(): Promise<void> {
    const run = await this.#upHub();
    assert.equal(run.code, 0, run.text);
    const definitions = await this.#names(DEFINITIONS);
    assert.deepEqual(definitions, [
      "applications.argoproj.io",
      "applicationsets.argoproj.io",
      "appprojects.argoproj.io",
    ]);
    assert.ok((await this.#names("/api/v1/namespaces")).includes(NAMESPACE));
    assert.deepEqual(await this.#names(`/apis/apps/v1/namespaces/${NAMESPACE}/deployments`), [
      "argocd-applicationset-controller",
      "argocd-redis",
      "argocd-repo-server",
    ]);
    assert.deepEqual(await this.#names(`/apis/apps/v1/namespaces/${NAMESPACE}/statefulsets`), []);
  }

  async projects(): Promise<void> {
    const projects = await this.#list(`/apis/argoproj.io/v1alpha1/namespaces/${NAMESPACE}/appprojects`);
    type Spec = { sourceRepos?: string[]; destinations?: object[]; clusterResourceWhitelist?: object[] };
    const specs = new Map(projects.map((project) => [project.metadata.name, (project as { spec?: Spec }).spec ?? {}]));
    assert.deepEqual([...specs.keys()].sort(), ["default", "edge-workloads"]);
    assert.deepEqual(specs.get("edge-workloads")?.sourceRepos, ["https://git.example.com/lab/edge-fleet.git"]);
    const { sourceRepos, destinations, clusterResourceWhitelist } = specs.get("default") ?? {};
    for (const list of [sourceRepos, destinations, clusterResourceWhitelist]) assert.deepEqual(list ?? [], []);
  }

  async again(): Promise<void> {
    const key = await this.#settingsKey();
    assert.equal(Buffer.from(Buffer.from(key, "base64").toString(), "base64").length, 32);
    const run = await this.#upHub();
    assert.equal(run.code, 0, run.text);
    assert.deepEqual(touched(run), []);
    assert.ok(run.operations.size > 20, "the hub's resources were looked at");
    assert.ok(run.operations.has("hub-crds:applications.argoproj.io"), "the name by which the next run knows its own");
    assert.equal(await this.#settingsKey(), key);
  }

  async #account(region: string): Promise<string> {
    return (await this.#fleet.outputs<Record<string, string>>("hub"))[`kubeconfig-${region}`] ?? "";
  }

  async account(): Promise<void> {
    const { stdout } = await this.#fleet.pulumi(["stack", "output", "--json", "--stack", "hub"]);
    const { clusterUid, ...kubeconfigs } = JSON.parse(stdout) as Record<string, string>;
    assert.match(clusterUid ?? "", /^[0-9a-f-]{36}$/);
    assert.deepEqual(kubeconfigs, { [`kubeconfig-${REGION}`]: "[secret]" });
    assert.doesNotMatch(stdout, /apiVersion|eyJ/);
    const account = await this.#account(REGION);
    const secret = { apiVersion: "v1", kind: "Secret", metadata: { name: "trial" } };
    const requests = [
      ["GET", SECRETS, 200],
      ["POST", SECRETS, 201],
      ["GET", `${SECRETS}/trial`, 200],
      ["DELETE", `${SECRETS}/trial`, 200],
      ["GET", `/apis/argoproj.io/v1alpha1/namespaces/${NAMESPACE}/applicationsets`, 200],
      ["GET", "/api/v1/secrets", 403],
      ["GET", "/api/v1/namespaces", 403],
      ["GET", "/api/v1/namespaces/kube-system/secrets", 403],
      ["POST", "/api/v1/namespaces/kube-system/secrets", 403],
      ["GET", "/api/v1/namespaces/default/secrets", 403],
      ["POST", "/api/v1/namespaces/default/secrets", 403],
      ["GET", `/api/v1/namespaces/${NAMESPACE}/pods`, 403],
      ["GET", `/apis/rbac.authorization.k8s.io/v1/namespaces/${NAMESPACE}/roles`, 403],
      ["POST", `/apis/argoproj.io/v1alpha1/namespaces/${NAMESPACE}/appprojects`, 403],
    ] as const;
    const answers: (readonly [string, string, number])[] = [];
    for (const [method, path] of requests) {
      const { status } = await callApi(account, method, path, method === "POST" ? secret : undefined);
      answers.push([method, path, status]);
    }
    assert.deepEqual(answers, requests);
  }

  async register(): Promise<void> {
    const run = await this.#upRegion();
    assert.equal(run.code, 0, run.text);
    assert.deepEqual(await registered(this.#fleet), DEVICES);
    const selector = "labelSelector=argocd.argoproj.io%2Fsecret-type%3Dcluster";
    assert.deepEqual(
      await this.#names(`${SECRETS}?${selector}`),
      DEVICES.map((id) => `cluster-${id}`),
    );
    const sets = await this.#names(`/apis/argoproj.io/v1alpha1/namespaces/${NAMESPACE}/applicationsets`);
    assert.equal(sets.length, 1);
  }

  async newToken(): Promise<void> {
    const old = await this.#account(REGION);
    const generation = ["--path", "edge-fleet:tokenGenerations.loopback", "2"];
    const set = await this.#fleet.pulumi(["config", "set", ...generation, "--stack", "hub"]);
    assert.equal(set.code, 0, set.stderr);
    const run = await this.#upHub();
    assert.equal(run.code, 0, run.text);
    assert.deepEqual(touched(run), [`hub-${REGION}-token`]);
    const status = async (kubeconfig: string) => (await getApi(kubeconfig, SECRETS)).status;
    assert.equal(await status(await this.#account(REGION)), 200);
    // The API server remembers a token that it has judged for 10 s.
    for (let tries = 0; (await status(old)) !== 401; tries++) {
      assert.ok(tries < 30, "the old token still works");
      await sleep(500);
    }
    const region = await this.#upRegion();
    assert.equal(region.code, 0, region.text);
    assert.deepEqual(touched(region), [`${REGION}-registration-hub`]);
  }

  async secondRegion(): Promise<void> {
    const before = {
      key: await this.#settingsKey(),
      account: await this.#account(REGION),
      stack: await exportStack(this.#fleet, "hub"),
    };
    const region = { region: "harbour", devices: [] };
    writeFileSync(`${this.#fleet.inventory}/harbour.yaml`, stringify(region));
    const run = await this.#upHub();
    assert.equal(run.code, 0, run.text);
    const known = new Set(before.stack.resources.map(({ urn }) => urn.split("::").at(-1)));
    assert.deepEqual(
      touched(run).filter((name) => known.has(name)),
      [],
      "the first region is left as it is",
    );
    assert.ok([...run.operations.values()].every((operation) => ["same", "read", "create"].includes(operation)));
    assert.equal(await this.#settingsKey(), before.key);
    const other = "argocd-harbour";
    assert.equal((await this.#names(`/apis/apps/v1/namespaces/${other}/deployments`)).length, 3);
    const [first, second] = [await this.#account(REGION), await this.#account("harbour")];
    assert.equal(first, before.account);
    for (const [account, own, foreign] of [
      [first, NAMESPACE, other],
      [second, other, NAMESPACE],
    ] as const) {
      const status = async (namespace: string) =>
        (await getApi(account, `/api/v1/namespaces/${namespace}/secrets`)).status;
      assert.deepEqual([await status(own), await status(foreign)], [200, 403]);
    }
  }

  async hubStackDown(): Promise<void> {
    await this.#fleet.stopHub();
    const before = (await exportStack(this.#fleet, "hub")).resources.length;
    const runs = [
      await preview(this.#fleet, "hub"),
      await up(this.#fleet, "hub"),
      await up(this.#fleet, "hub", {}, ["--continue-on-error"]),
    ];
    for (const run of runs) {
      assert.notEqual(run.code, 0);
      const errors = run.text.split("\n").filter((line) => /^ {4}error: /.test(line));
      assert.equal(errors.filter((line) => line.includes("unreachable cluster")).length, 1, run.text);
      assert.doesNotMatch(run.text, /leads to the cluster|unhandled exception|failed to register|^\s+at .*:\d+/m);
    }
    assert.match(
      runs[2]?.text ?? "",
      /^ {4}error: the hub does not answer - see the error of its namespace kube-system$/m,
    );
    assert.equal((await exportStack(this.#fleet, "hub")).resources.length, before);
  }

  async hubDown(): Promise<void> {
    const [changed = ""] = DEVICES;
    this.#fleet.edit(`${REGION}.yaml`, (region) => region.setIn(["devices", 0, "ring"], "broad"));
    this.#fleet.edit("fleet.yaml", (file) => file.setIn(["k3s", "version"], K3S_VERSIONS[1]));
    const run = await up(this.#fleet, REGION, {}, ["--continue-on-error"]);
    assert.notEqual(run.code, 0, "the changed device could not be registered anew");
    assert.match(run.text, new RegExp(`${REGION}-registration-${changed}.*unreachable`, "s"));
    assert.doesNotMatch(run.text, /unhandled exception|failed to register/);
    assert.ok(run.milliseconds < 120_000, `it took ${run.milliseconds} ms`);
    assert.deepEqual(touched(run), [...DEVICES, `${REGION}-registration-${changed}`].sort());
    const { applied } = await this.#fleet.outputs<RegionOutputs>(REGION);
    assert.deepEqual(applied, Object.fromEntries(DEVICES.map((id) => [id, K3S_VERSIONS[1]])));
    for (const id of DEVICES) {
      const { version, ready } = await deviceState(this.#fleet.devices, id);
      assert.deepEqual({ version, ready }, { version: K3S_VERSIONS[1], ready: "ok" }, id);
    }
  }
}
