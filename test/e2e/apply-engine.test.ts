/**
 * The engine of a device, as far as its API goes: the real API server and controllers take the real definitions of Argo CD
 * and the objects that edge-fleet puts on the device, and no pod runs (toolchain/hub-apiserver/k3s).
 */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { classify } from "../../cli/rollout/dial.ts";
import type { SshAnswer } from "../../cli/ssh/run.ts";
import { PROGRAM_PATH } from "../../components/device/program.ts";
import type { DeviceAnswer } from "../../components/device/result.ts";
import { renderDeviceEntry, treeDevice } from "../../components/gitops/index.ts";
import type { ArtifactsLock } from "../../components/inventory/schema.ts";
import type { Profile } from "../../components/inventory/types.ts";
import { payloadText, renderPayload } from "../../components/plan/payload.ts";
import { type Device, NEW, OLD, profileWith, sha256, underEachShell } from "../lab/standins/apply-device.ts";
import { realDefinitions, realFlux } from "../lab/standins/engine-lock.ts";
import { K3S_API_PATH, k3sApiStandin } from "../lab/standins/index.ts";
import { locked } from "../lab/standins/locked.ts";
import { eventually } from "../lab/standins/sandbox.ts";
import { ensureToolchain } from "../lab/toolchain/index.ts";
import { buildProfile, gitopsOf } from "../unit/device/profile.ts";
import { FULL_EXAMPLE } from "../unit/gitops/fleet.ts";

const ADDRESS = "10.250.0.1";
const MANIFESTS = "/var/lib/rancher/k3s/server/manifests";
const SECRETS = `${MANIFESTS}/edge-fleet-engine-secrets.yaml`;
const REPOSITORY = "/var/lib/edge-fleet/engine/repo";
const KUBECTL = "k3s kubectl";
/** Releases by version; the new one's API answers, and its node never does. */
const BINARIES = { [OLD]: k3sApiStandin(OLD), [NEW]: k3sApiStandin(NEW, { fault: "never-ready" }) };
const URL = "https://git.example.com/fleet.git";

const network = { ...buildProfile().network, nodeIp: ADDRESS };
const PULLING: Profile = profileWith(OLD, { network, security: "baseline", gitops: gitopsOf("argocd") });
const FLUX: Profile = { ...PULLING, gitops: gitopsOf("flux") };
const BARE: Profile = { ...PULLING, gitops: gitopsOf("none") };
const BROKEN: Profile = { ...PULLING, k3s: { ...PULLING.k3s, version: NEW }, readiness: { timeoutSeconds: 12 } };

const meta = (name: string) => ({ name, namespace: "argocd" });
const root = (revision: string) => ({
  apiVersion: "argoproj.io/v1alpha1",
  kind: "Application",
  metadata: meta("edge-root"),
  spec: {
    project: "edge-root",
    source: { repoURL: URL, targetRevision: revision, path: "fleet/entry/canary/tokyo/nuc-4g" },
    destination: { server: "https://kubernetes.default.svc", namespace: "argocd" },
  },
});
const project = { apiVersion: "argoproj.io/v1alpha1", kind: "AppProject", metadata: meta("edge-root"), spec: {} };

/** An Application as the root makes it: deleted by Argo CD, it takes its objects along. */
const CHILD = `{"apiVersion":"argoproj.io/v1alpha1","kind":"Application","metadata":{"name":"workloads","namespace":"argocd",
  "finalizers":["resources-finalizer.argocd.argoproj.io"]},"spec":{"project":"edge-root","source":{"repoURL":"${URL}",
  "targetRevision":"${"a".repeat(40)}","path":"fleet/base"},"destination":{"server":"https://kubernetes.default.svc"}}}`;

/** The same of Flux: deleted with kustomize-controller there, it takes its objects along. */
const KUSTOMIZATION = `{"apiVersion":"kustomize.toolkit.fluxcd.io/v1","kind":"Kustomization","metadata":{"name":"workloads",
  "namespace":"flux-system","finalizers":["finalizers.fluxcd.io"]},"spec":{"interval":"10m","prune":true,"path":"./fleet/base",
  "sourceRef":{"kind":"GitRepository","name":"edge-root"}}}`;

/** What Argo CD's controller writes of an Application. */
const STATUS = {
  sync: { status: "OutOfSync", revision: "b".repeat(40) },
  health: { status: "Degraded", lastTransitionTime: "2026-11-26T01:02:03Z" },
  history: ["d", "c"].map((commit, id) => ({
    id,
    revision: commit.repeat(40),
    deployedAt: `2026-11-2${id + 4}T01:02:03Z`,
  })),
  operationState: {
    ...{ operation: {}, phase: "Failed", startedAt: "2026-11-26T04:05:00Z", finishedAt: "2026-11-26T04:05:06Z" },
  },
  reconciledAt: "2026-11-26T05:05:06Z",
  conditions: ["ComparisonError", "SyncError"].map((type) => ({ type, message: 'a "quoted" reason' })),
};

const ANSWERED: SshAnswer = { exitCode: 0, stdout: "", stderr: "", ended: undefined, loggedIn: true, hostKey: "" };

const FIELDS = ["revision", "sync", "health", "healthSince", "deployedRevision", "deployedAt", "phase", "finishedAt"];
const NOTHING = Object.fromEntries([...FIELDS, "reconciledAt", "conditions"].map((name) => [name, ""]));

/** Releases of Argo CD by the names of their images; the node finds none of the third (toolchain/hub-apiserver/kubelet/images.go). */
const ARGO_CD = {
  "v3.2.1": "lab.invalid",
  "v3.2.2": "lab.invalid",
  "v3.2.3": "lab.invalid/absent",
  "v3.2.4": "lab.invalid",
};
type Release = keyof typeof ARGO_CD;
const imageOf = (version: Release, name: string) => `${ARGO_CD[version]}/${name}:${version}@sha256:${sha256(version)}`;

let api = "";
let definitions: Awaited<ReturnType<typeof realDefinitions>> = [];
let flux: Awaited<ReturnType<typeof realFlux>> = { flux: {}, texts: [] };
before(async () => {
  const { parts } = await ensureToolchain((line) => console.error(line), ["k3s-apiserver"]);
  api = parts[0]?.path ?? "";
  definitions = await realDefinitions();
  flux = await realFlux();
});

/** Puts everything into the device's store. */
function lockOf(device: Device): ArtifactsLock {
  for (const text of [...definitions.map(({ text }) => text), ...flux.texts]) device.store(text);
  const crds = definitions.map(({ file }) => file);
  const both = (text: string) => {
    device.store(text);
    return { amd64: locked(text), arm64: locked(text) };
  };
  const engines = (Object.keys(ARGO_CD) as Release[]).map((version) => {
    const images = { argocd: imageOf(version, "argocd"), redis: imageOf(version, "redis") };
    return [version, { crds, images }] as const;
  });
  const releases = Object.entries(BINARIES).map(([version, text]) => [version, both(text)] as const);
  return { k3s: Object.fromEntries(releases), argocd: Object.fromEntries(engines), flux: flux.flux };
}

/** What is sent to a device with this release of Argo CD. */
function payloadOf(device: Device, profile: Profile, version: Release = "v3.2.1", revision = "main"): string {
  const { gitops } = profile;
  const wanted = { ...profile, gitops: { ...gitops, argocd: { ...gitops.argocd, version } } };
  const entry =
    gitops.engine === "flux" ? renderDeviceEntry(FULL_EXAMPLE, treeDevice(profile)) : [project, root(revision)];
  const payload = renderPayload(wanted, lockOf(device), { entry });
  for (const { content } of payload.artifacts) if (content !== undefined) device.store(content);
  return payloadText(payload);
}

function applied(device: Device, profile: Profile, version?: Release, revision?: string): DeviceAnswer {
  const answer = device.applyText(payloadOf(device, profile, version, revision));
  assert.equal(answer.result, "applied", `${answer.reason}\n${device.sh("tail -n 40 /var/log/edge-fleet/apply.log")}`);
  return answer;
}

underEachShell(
  "the engine of a device",
  (of) => {
    test("is applied from the folder of manifests, with secrets that only the device knows", async () => {
      const { device, sandbox } = of();
      const { engine: state } = applied(device, PULLING, "v3.2.1");
      assert.equal(state, "ready");
      await eventually(sandbox, `${KUBECTL} -n argocd get application edge-root`);
      assert.equal(device.sh(`stat -c %a ${SECRETS}`), "600");
      assert.equal(device.sh(`stat -c '%a %u:%g' ${REPOSITORY}`), "700 999:999");
      const key = (secret: string, name: string) =>
        device.sh(`${KUBECTL} -n argocd get secret ${secret} -o 'jsonpath={.data.${name}}' | base64 -d`);
      await eventually(sandbox, `${KUBECTL} -n argocd get secret argocd-redis`);
      const [auth, signing] = [key("argocd-redis", "auth"), key("argocd-secret", "server\\.secretkey")];
      assert.match(`${auth} ${signing}`, /^[0-9a-f]{64} [0-9a-f]{64}$/);
      assert.notEqual(auth, signing);
      const log = device.sh("cat /var/log/edge-fleet/apply.log");
      assert.ok(!log.includes(auth) && !log.includes(signing) && !log.includes(Buffer.from(auth).toString("base64")));
    });

    test("is upgraded without a restart, and keeps its secrets", () => {
      const { device } = of();
      const [pid, secrets] = [device.pid(), device.sh(`sha256sum ${SECRETS}`)];
      assert.equal(applied(device, PULLING, "v3.2.2").engine, "ready");
      assert.equal(device.pid(), pid);
      assert.equal(device.sh(`sha256sum ${SECRETS}`), secrets);
      const images = device.sh(`${KUBECTL} -n argocd get pods -o 'jsonpath={.items[*].spec.containers[*].image}'`);
      assert.deepEqual([...new Set(images.split(" "))].sort(), [
        imageOf("v3.2.2", "argocd"),
        imageOf("v3.2.2", "redis"),
      ]);
      assert.equal(device.applyText(payloadOf(device, PULLING, "v3.2.2")).result, "unchanged");
    });

    test("takes another entry without a restart", async () => {
      const { device, sandbox } = of();
      const pid = device.pid();
      applied(device, PULLING, "v3.2.2", "release");
      assert.equal(device.pid(), pid);
      const revision = "jsonpath={.spec.source.targetRevision}";
      await eventually(sandbox, `[ "$(${KUBECTL} -n argocd get application edge-root -o '${revision}')" = release ]`);
    });

    test("that waits for an image leaves the device applied, and says so", () => {
      const { device } = of();
      const waits = /^waiting: ImagePullBackOff lab\.invalid\/absent\/(argocd|redis):v3\.2\.3@sha256:[0-9a-f]{64}$/;
      assert.match(applied(device, PULLING, "v3.2.3").engine, waits);
      assert.match(device.applyText(payloadOf(device, PULLING, "v3.2.3")).engine, waits);
    });

    test("is told with what runs, also where nothing is known of it", () => {
      const { device } = of();
      device.sh(`cat >/tmp/child.json <<'END'\n${CHILD}\nEND\n${KUBECTL} create -f /tmp/child.json`);
      device.sh(
        `${KUBECTL} -n argocd patch application workloads --type=merge -p '${JSON.stringify({ status: STATUS })}'`,
      );
      const line = device.sh(`${PROGRAM_PATH} status`);
      const read = classify(PULLING, { ...ANSWERED, stdout: line });
      assert.ok("applications" in read, "as edge-fleet status reads it");
      const told = JSON.parse(line);
      assert.deepEqual(
        { ...told, at: "" },
        {
          ...{ edgeFleetStatus: 1, device: PULLING.id, at: "", distribution: "k3s", release: OLD, api: true },
          engine: "argocd",
          state: told.state,
          applications: [
            { ...NOTHING, name: "edge-root", targetRevision: "main" },
            {
              ...{ name: "workloads", targetRevision: "a".repeat(40), revision: "b".repeat(40), sync: "OutOfSync" },
              ...{ health: "Degraded", healthSince: "2026-11-26T01:02:03Z", deployedRevision: "c".repeat(40) },
              ...{ deployedAt: "2026-11-25T01:02:03Z", phase: "Failed", finishedAt: "2026-11-26T04:05:06Z" },
              ...{ reconciledAt: "2026-11-26T05:05:06Z", conditions: "ComparisonError SyncError" },
            },
          ],
        },
      );
      assert.match(told.state, /^waiting: ImagePullBackOff /);
      assert.match(told.at, /^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    });

    test("is not known where the API is silent, within a bound", () => {
      const { device } = of();
      device.sh("kill -STOP $(systemctl show -p MainPID --value k3s)");
      const begin = performance.now();
      const line = device.sh(`${PROGRAM_PATH} status`);
      assert.ok("applications" in classify(PULLING, { ...ANSWERED, stdout: line }));
      const told = JSON.parse(line);
      const seconds = (performance.now() - begin) / 1000;
      device.sh("kill -CONT $(systemctl show -p MainPID --value k3s)");
      const { api, engine, state, applications } = told;
      assert.deepEqual([api, engine, state, applications], [false, "argocd", "waiting: the API does not answer", []]);
      assert.ok(seconds < 15, `${seconds} s: SECONDS of rollout/dial.ts`);
    });

    test("is as before after a run that failed", async () => {
      const { device, sandbox } = of();
      const answer = device.applyText(payloadOf(device, BROKEN, "v3.2.4", "failed"));
      assert.equal(answer.result, "rolled-back", answer.reason);
      const image = "jsonpath={.spec.template.spec.containers[0].image}";
      await eventually(
        sandbox,
        `[ "$(${KUBECTL} -n argocd get deployment argocd-repo-server -o '${image}')" = ${imageOf("v3.2.3", "argocd")} ]`,
      );
    });

    test("leaves, and what it has brought stays", async () => {
      const { device, sandbox } = of();
      device.sh(`${KUBECTL} create configmap brought`);
      device.sh(`${KUBECTL} -n argocd create configmap of-the-engine`);
      const pid = device.pid();
      assert.equal(applied(device, BARE).engine, "");
      assert.equal(device.pid(), pid);
      assert.equal(device.sh(`${KUBECTL} get configmap brought -o name`), "configmap/brought");
      await eventually(sandbox, `! ${KUBECTL} get namespace argocd`);
      await eventually(sandbox, `[ -z "$(${KUBECTL} get crd -o name | grep argoproj)" ]`);
      assert.equal(
        device.sh(`ls ${MANIFESTS} | grep edge-fleet || :; ls -d /var/lib/edge-fleet/engine 2>/dev/null || :`),
        "",
      );
    });

    test("comes back as it was", async () => {
      const { device, sandbox } = of();
      assert.equal(applied(device, PULLING, "v3.2.4").engine, "ready");
      await eventually(sandbox, `${KUBECTL} -n argocd get application edge-root`);
    });

    test("gives way to Flux and comes back, and nothing restarts, goes or hangs", async () => {
      const { device, sandbox } = of();
      device.sh(`${KUBECTL} create configmap brought-too; cat >/tmp/child.json <<'END'\n${CHILD}\nEND
        ${KUBECTL} create -f /tmp/child.json`);
      const pid = device.pid();
      assert.equal(applied(device, FLUX).engine, "ready");
      await eventually(sandbox, `! ${KUBECTL} get namespace argocd`);
      await eventually(sandbox, `[ -z "$(${KUBECTL} get crd -o name | grep argoproj)" ]`);
      await eventually(sandbox, `${KUBECTL} -n flux-system get kustomization edge-root`);
      assert.equal(
        device.sh("stat -c '%a %u:%g' /var/lib/edge-fleet/engine/source; ls /var/lib/edge-fleet/engine"),
        "700 65534:65534\nsource",
      );
      device.sh(`cat >/tmp/child.json <<'END'\n${KUSTOMIZATION}\nEND\n${KUBECTL} create -f /tmp/child.json`);
      const told = JSON.parse(device.sh(`${PROGRAM_PATH} status`));
      assert.deepEqual([told.engine, told.state], ["flux", "ready"]);
      const names = told.applications.map(({ name }: { name: string }) => name);
      assert.deepEqual(names, ["edge-root", "workloads"]);
      assert.equal(applied(device, PULLING, "v3.2.2").engine, "ready");
      await eventually(sandbox, `! ${KUBECTL} get namespace flux-system`);
      await eventually(sandbox, `[ -z "$(${KUBECTL} get crd -o name | grep fluxcd)" ]`);
      await eventually(sandbox, `${KUBECTL} -n argocd get application edge-root`);
      assert.equal(device.sh("ls /var/lib/edge-fleet/engine"), "repo");
      assert.equal(device.pid(), pid);
      assert.equal(applied(device, FLUX).engine, "ready");
      assert.equal(applied(device, BARE).engine, "");
      await eventually(sandbox, `[ -z "$(${KUBECTL} get crd -o name | grep -e fluxcd -e argoproj)" ]`);
      assert.equal(device.sh(`${KUBECTL} get configmap brought-too -o name`), "configmap/brought-too");
      assert.equal(device.pid(), pid);
      assert.equal(device.sh(`ls ${MANIFESTS} | grep edge-fleet || :`), "");
      assert.equal(applied(device, PULLING, "v3.2.4").engine, "ready");
    });

    test("is not put beside an Argo CD of somebody else's", () => {
      const { device } = of();
      applied(device, BARE);
      device.sh(`${KUBECTL} create namespace theirs; ${KUBECTL} -n theirs create deployment argocd-application-controller --image=lab.invalid/a
        ${KUBECTL} -n theirs label deployment argocd-application-controller app.kubernetes.io/name=argocd-application-controller`);
      const { result, reason } = device.applyText(payloadOf(device, PULLING));
      assert.equal(result, "failed");
      assert.match(
        reason,
        /^engine: an Argo CD that edge-fleet did not install is in the namespace theirs, .*set gitops.engine: none$/,
      );
      device.sh(`${KUBECTL} delete namespace theirs`);
      assert.equal(device.sh(`ls ${MANIFESTS} | grep edge-fleet || :`), "");
    });

    test("is put beside Flux with a warning", () => {
      const { device } = of();
      device.sh(`${KUBECTL} create namespace flux-system
        ${KUBECTL} -n flux-system create deployment source-controller --image=lab.invalid/s --dry-run=client -o json |
          ${KUBECTL} label --local -f - app.kubernetes.io/part-of=flux -o json | ${KUBECTL} create -f -`);
      applied(device, PULLING);
      const said = device.sh("grep '^warning: engine' /var/log/edge-fleet/apply.log");
      assert.match(said, /^warning: engine: Flux is in the namespace flux-system, /);
    });
  },
  () => ({ address: ADDRESS, binds: { [K3S_API_PATH]: api } }),
);
