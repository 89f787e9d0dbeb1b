/**
 * What a hub does not lose: on the real engine and a real API server, a region whose file merely vanishes, a hub whose
 * outputs are lost, and another cluster behind the kubeconfig; then how a region really goes. One lab, one story.
 */
import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { stringify } from "yaml";
import { type LabFleet, REGION, startLabFleet } from "../lab/fleet.ts";
import { callApi, getApi, listApi } from "../lab/hub/api.ts";
import { type Hub, startHub } from "../lab/hub/index.ts";
import { type EngineRun, enterLab, exportStack, preview, touched, up } from "../lab/scenario.ts";

const toolchain = await enterLab();

const HARBOUR = "argocd-harbour";
const SETS = `/apis/argoproj.io/v1alpha1/namespaces/${HARBOUR}/applicationsets`;

test("a hub keeps what nobody declared removed", async (t) => {
  const fleet = await startLabFleet({ toolchain, devices: [] });
  t.after(() => fleet.stop());
  const other = await startHub({ toolchain, directory: join(fleet.directory, "other-hub") });
  t.after(() => other.stop());
  const story = new Story(fleet, other);
  await t.test("two regions are installed", () => story.install());
  await t.test("everything is protected but the tokens, and no path of this machine is in the state", () =>
    story.state(),
  );
  await t.test("a region file that vanishes is refused in preview and up, and nothing is deleted", () =>
    story.vanished(),
  );
  await t.test("it is refused too where the hub's outputs are lost, and the next run is complete again", () =>
    story.withoutOutputs(),
  );
  await t.test("another cluster behind the kubeconfig is refused, in a second run too", () => story.otherCluster());
  await t.test("a region that is declared removed runs on, without protection", () => story.declared());
  await t.test("its control plane does not go while a set waits for its controller", () => story.held());
  await t.test("then it goes, and leaves the other region alone", () => story.gone());
  await t.test("a hub that was rebuilt is installed anew once its state is given up", () => story.rebuilt());
});

class Story {
  readonly #fleet: LabFleet;
  readonly #other: Hub;
  readonly #kubeconfigPath: string;

  constructor(fleet: LabFleet, other: Hub) {
    this.#fleet = fleet;
    this.#other = other;
    this.#kubeconfigPath = fleet.kubeconfig ?? "";
  }

  /** As in CI: what a preview would have refused must not get through either. */
  #up(env: Readonly<Record<string, string>> = {}): Promise<EngineRun> {
    return up(this.#fleet, "hub", { env }, ["--continue-on-error"]);
  }

  #writeHarbour(region: object = {}): void {
    writeFileSync(this.#harbour(), stringify({ region: "harbour", ...region, devices: [] }));
  }

  #harbour(): string {
    return join(this.#fleet.inventory, "harbour.yaml");
  }

  /** Names and UIDs of everything that a control plane consists of: equal when nothing was deleted or made anew. */
  async #inventory(namespace: string, without: string[] = []): Promise<string[]> {
    const kinds = ["api/v1/*/secrets", "api/v1/*/serviceaccounts", "apis/apps/v1/*/deployments"];
    const groups = ["apis/argoproj.io/v1alpha1/*/appprojects", "apis/rbac.authorization.k8s.io/v1/*/roles"];
    const paths = [...kinds, ...groups].map((path) => `/${path.replace("*", `namespaces/${namespace}`)}`);
    const lists = await Promise.all(paths.map((path) => listApi(this.#kubeconfigPath, path)));
    return lists
      .flat()
      .map(({ metadata }) => `${metadata.name} ${(metadata as { uid?: string }).uid}`)
      .filter((line) => !without.some((name) => line.startsWith(`${name} `)))
      .sort();
  }

  async #namespaces(kubeconfigPath = this.#kubeconfigPath): Promise<string[]> {
    const names = (await listApi(kubeconfigPath, "/api/v1/namespaces")).map(({ metadata }) => metadata.name);
    return names.filter((name) => name.startsWith("argocd-")).sort();
  }

  async #resources(): Promise<{ readonly urn: string; readonly type: string; readonly protect?: boolean }[]> {
    return [...(await exportStack(this.#fleet, "hub")).resources];
  }

  async install(): Promise<void> {
    this.#writeHarbour();
    const run = await this.#up();
    assert.equal(run.code, 0, run.text);
    assert.deepEqual(await this.#namespaces(), [HARBOUR, `argocd-${REGION}`]);
  }

  async state(): Promise<void> {
    const { text } = await exportStack(this.#fleet, "hub");
    assert.doesNotMatch(text, new RegExp(this.#fleet.directory));
    assert.doesNotMatch(text, /admin\.kubeconfig|\.kube\/config/);
    const open = (await this.#resources()).filter(({ protect }) => protect !== true);
    assert.deepEqual(
      open.map(({ urn }) => urn.split("::").at(-1)).sort(),
      // The first is the engine's own provider of component resources, the others are what the UID is read with.
      ["default", "edge-fleet-hub", "hub-harbour-token", "hub-kube-system", `hub-${REGION}-token`, "hub-lookup"].sort(),
    );
  }

  async vanished(): Promise<void> {
    const before = await this.#inventory(HARBOUR);
    assert.ok(before.length === 15, before.join("\n"));
    rmSync(this.#harbour());
    for (const run of [await preview(this.#fleet, "hub"), await this.#up()]) {
      assert.notEqual(run.code, 0);
      assert.match(
        run.text,
        /harbour\.yaml is gone but its control plane argocd-harbour is still on the hub - restore the file, and write state: removed/,
      );
      assert.doesNotMatch(run.text, /^\s+at .*:\d+/m, "no stack trace");
      assert.deepEqual(touched(run), []);
    }
    assert.deepEqual(await this.#inventory(HARBOUR), before);
  }

  async withoutOutputs(): Promise<void> {
    const before = await this.#inventory(HARBOUR, ["edge-fleet-region-token"]);
    const { text } = await exportStack(this.#fleet, "hub");
    const state = JSON.parse(text) as { deployment: { resources: { type: string; outputs?: object }[] } };
    for (const resource of state.deployment.resources)
      if (resource.type === "pulumi:pulumi:Stack") delete resource.outputs;
    const imported = await this.#fleet.pulumi(["stack", "import", "--stack", "hub"], { input: JSON.stringify(state) });
    assert.equal(imported.code, 0, imported.stderr);
    const run = await this.#up();
    assert.notEqual(run.code, 0);
    assert.match(run.text, /harbour\.yaml is gone but its control plane argocd-harbour is still on the hub/);
    assert.deepEqual(await this.#inventory(HARBOUR, ["edge-fleet-region-token"]), before);
    this.#writeHarbour();
    const next = await this.#up();
    assert.equal(next.code, 0, next.text);
    assert.deepEqual(await this.#inventory(HARBOUR, ["edge-fleet-region-token"]), before);
  }

  async otherCluster(): Promise<void> {
    const env = { KUBECONFIG: this.#other.kubeconfigPath };
    const { clusterUid } = await this.#fleet.outputs<{ clusterUid: string }>("hub");
    const refused = (run: EngineRun) => {
      assert.notEqual(run.code, 0, run.text);
      assert.match(
        run.text,
        new RegExp(`leads to the cluster [0-9a-f-]{36}, and the hub is on the cluster ${clusterUid}`),
      );
      assert.deepEqual(
        touched(run).filter((name) => name.startsWith(`hub-${REGION}`) || name.startsWith("hub-harbour")),
        [],
      );
    };
    refused(await this.#up(env));
    refused(await this.#up(env));
    assert.deepEqual(await this.#namespaces(this.#other.kubeconfigPath), []);
    const back = await this.#up();
    assert.equal(back.code, 0, back.text);
    assert.deepEqual(touched(back), []);
  }

  async declared(): Promise<void> {
    const before = await this.#inventory(HARBOUR);
    this.#writeHarbour({ state: "removed" });
    const run = await this.#up();
    assert.equal(run.code, 0, run.text);
    assert.match(
      run.text,
      /warning: region harbour is removed: its control plane argocd-harbour runs on, .*first run pulumi up --stack harbour, then pulumi destroy --stack harbour/,
    );
    assert.deepEqual(await this.#inventory(HARBOUR), before);
    const protectedOnes = (await this.#resources()).filter(({ protect }) => protect === true).map(({ urn }) => urn);
    assert.deepEqual(
      protectedOnes.filter((urn) => urn.includes("harbour")),
      [],
    );
    assert.ok(protectedOnes.some((urn) => urn.endsWith(`hub-${REGION}-namespace`)));
  }

  async held(): Promise<void> {
    const metadata = { name: "edge-workloads", finalizers: ["resources-finalizer.argocd.argoproj.io"] };
    const spec = { generators: [], template: { metadata: { name: "x" }, spec: { project: "x", destination: {} } } };
    const set = { apiVersion: "argoproj.io/v1alpha1", kind: "ApplicationSet", metadata, spec };
    const { status, body } = await callApi(this.#admin(), "POST", SETS, set);
    assert.equal(status, 201, JSON.stringify(body));
    const before = await this.#inventory(HARBOUR);
    rmSync(this.#harbour());
    const run = await this.#up();
    assert.notEqual(run.code, 0);
    assert.match(
      run.text,
      /control plane argocd-harbour cannot go: ApplicationSet edge-workloads would wait .*pulumi up --stack harbour, then pulumi destroy --stack harbour/,
    );
    assert.deepEqual(await this.#inventory(HARBOUR), before);
  }

  #admin(): string {
    return readFileSync(this.#kubeconfigPath, "utf8");
  }

  async gone(): Promise<void> {
    await callApi(this.#admin(), "PATCH", `${SETS}/edge-workloads`, { metadata: { finalizers: null } });
    await callApi(this.#admin(), "DELETE", `${SETS}/edge-workloads`);
    const application = {
      apiVersion: "argoproj.io/v1alpha1",
      kind: "Application",
      metadata: { name: "left-behind" },
      spec: { project: "edge-workloads", destination: {} },
    };
    const applications = SETS.replace("applicationsets", "applications");
    assert.equal((await callApi(this.#admin(), "POST", applications, application)).status, 201);
    const before = await this.#inventory(`argocd-${REGION}`);
    const run = await this.#up();
    assert.equal(run.code, 0, run.text);
    assert.ok(run.milliseconds < 300_000, `it took ${run.milliseconds} ms`);
    assert.ok(touched(run).every((name) => !name.includes(REGION)));
    assert.equal((await getApi(this.#admin(), `/api/v1/namespaces/${HARBOUR}`)).status, 404);
    assert.deepEqual(await this.#inventory(`argocd-${REGION}`), before);
    assert.deepEqual(Object.keys(await this.#fleet.outputs<object>("hub")).sort(), [
      "clusterUid",
      `kubeconfig-${REGION}`,
    ]);
  }

  async rebuilt(): Promise<void> {
    const { clusterUid } = await this.#fleet.outputs<{ clusterUid: string }>("hub");
    const forget = ["state", "delete", "--all", "--force", "--yes", "--stack", "hub"];
    const { code, stderr } = await this.#fleet.pulumi(forget);
    assert.equal(code, 0, stderr);
    const run = await this.#up({ KUBECONFIG: this.#other.kubeconfigPath });
    assert.equal(run.code, 0, run.text);
    assert.deepEqual(await this.#namespaces(this.#other.kubeconfigPath), [`argocd-${REGION}`]);
    assert.notEqual((await this.#fleet.outputs<{ clusterUid: string }>("hub")).clusterUid, clusterUid);
  }
}
