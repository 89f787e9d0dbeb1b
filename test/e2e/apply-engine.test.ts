/**
 * The engine of a device, as far as its API goes: the real API server and controllers take the real definitions of Argo CD
 * and the objects that edge-fleet puts on the device, and no pod runs (toolchain/hub-apiserver/k3s).
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { PROGRAM_PATH } from "../../components/device/program.ts";
import type { DeviceAnswer } from "../../components/device/result.ts";
import { formatObjects } from "../../components/gitops/yaml.ts";
import type { ArtifactsLock } from "../../components/inventory/schema.ts";
import type { Profile } from "../../components/inventory/types.ts";
import { payloadText, renderPayload } from "../../components/plan/payload.ts";
import {
  type Device,
  NEW,
  OLD,
  profileWith,
  readOutcome,
  sha256,
  underEachShell,
} from "../lab/standins/apply-device.ts";
import { K3S_API_PATH, k3sApiStandin } from "../lab/standins/index.ts";
import type { Sandbox } from "../lab/standins/sandbox.ts";
import { buildProfile } from "../unit/device/profile.ts";
import { argocdManifests, ensureToolchain } from "../lab/toolchain/index.ts";

const ADDRESS = "10.250.0.1";
const MANIFESTS = "/var/lib/rancher/k3s/server/manifests";
const SECRETS = `${MANIFESTS}/edge-fleet-engine-secrets.yaml`;
const REPOSITORY = "/var/lib/edge-fleet/engine/repo";
const KUBECTL = "k3s kubectl";
/** Releases by version; the new one's API answers, and its node never does. */
const BINARIES = { [OLD]: k3sApiStandin(OLD), [NEW]: k3sApiStandin(NEW, { fault: "never-ready" }) };
const URL = "https://git.example.com/fleet.git";

const network = { ...buildProfile().network, nodeIp: ADDRESS };
const PULLING: Profile = profileWith(OLD, { network, security: "baseline", gitops: { engine: "argocd" } });
const BARE: Profile = { ...PULLING, gitops: { engine: "flux" } };
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

const workload = (kind: string, name: string, image: string) => {
  const labels = { "app.kubernetes.io/name": name };
  return {
    apiVersion: "apps/v1",
    kind,
    metadata: { ...meta(name), labels: { ...labels, "app.kubernetes.io/managed-by": "edge-fleet" } },
    spec: {
      selector: { matchLabels: labels },
      ...(kind === "StatefulSet" ? { serviceName: name } : {}),
      template: { metadata: { labels }, spec: { containers: [{ name: "c", image }] } },
    },
  };
};

/** The engine's objects in short. */
const engine = (image: string): string =>
  formatObjects(
    [],
    [
      { apiVersion: "v1", kind: "Namespace", metadata: { name: "argocd" } },
      workload("StatefulSet", "argocd-application-controller", image),
      workload("Deployment", "argocd-repo-server", image),
    ],
  );

let api = "";
let definitions: readonly string[] = [];
before(async () => {
  const { parts } = await ensureToolchain((line) => console.error(line), ["k3s-apiserver"]);
  api = parts[0]?.path ?? "";
  const { directory } = await argocdManifests();
  const read = (name: string) => readFileSync(join(directory, "crds", name), "utf8");
  definitions = [read("application-crd.yaml"), read("appproject-crd.yaml")];
});

/** Puts K3s into the device's store. */
function lockOf(device: Device): ArtifactsLock {
  const both = (text: string) => {
    const file = { url: "http://127.0.0.1:9/pushed", sha256: device.store(text), size: text.length };
    return { amd64: file, arm64: file };
  };
  return { k3s: Object.fromEntries(Object.entries(BINARIES).map(([version, text]) => [version, both(text)])) };
}

/** What is sent to a device that has an engine of this image. */
function payloadWith(device: Device, profile: Profile, image: string, revision = "main"): string {
  const payload = renderPayload(profile, lockOf(device), { entry: [project, root(revision)] });
  const files = { "0-applications": definitions[0], "0-appprojects": definitions[1], "1-argocd": engine(image) };
  const lines = Object.entries(files).map(([name, text = ""]) => {
    const path = `${MANIFESTS}/edge-fleet-engine-${name}.yaml`;
    return `artifact manifest ${device.store(text)} ${text.length} 0600 ${path} -\n`;
  });
  const body = payload.body.replace(payload.hash, sha256(payload.hash + lines.join(""))) + lines.join("");
  return payloadText({ body, secretFiles: payload.secretFiles });
}

function applied(device: Device, profile: Profile, image?: string, revision?: string): DeviceAnswer {
  const answer =
    image === undefined
      ? device.apply(profile, lockOf(device))
      : device.applyText(payloadWith(device, profile, image, revision));
  assert.equal(answer.result, "applied", `${answer.reason}\n${device.sh("tail -n 40 /var/log/edge-fleet/apply.log")}`);
  return answer;
}

/** Waits until a sh text succeeds. */
async function eventually(sandbox: Sandbox, text: string, seconds = 30): Promise<void> {
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    if (sandbox.run(text).code === 0) return;
    await sleep(200);
  }
  assert.fail(`after ${seconds} s: ${text}: ${JSON.stringify(sandbox.run(text))}`);
}

underEachShell(
  "the engine of a device",
  (of) => {
    test("is applied from the folder of manifests, with secrets that only the device knows", async () => {
      const { device, sandbox } = of();
      const { engine: state } = applied(device, PULLING, "lab.invalid/argocd:1");
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
      assert.equal(applied(device, PULLING, "lab.invalid/argocd:2").engine, "ready");
      assert.equal(device.pid(), pid);
      assert.equal(device.sh(`sha256sum ${SECRETS}`), secrets);
      const images = device.sh(`${KUBECTL} -n argocd get pods -o 'jsonpath={.items[*].spec.containers[*].image}'`);
      assert.deepEqual(new Set(images.split(" ")), new Set(["lab.invalid/argocd:2"]));
      assert.equal(device.applyText(payloadWith(device, PULLING, "lab.invalid/argocd:2")).result, "unchanged");
    });

    test("takes another entry without a restart", async () => {
      const { device, sandbox } = of();
      const pid = device.pid();
      applied(device, PULLING, "lab.invalid/argocd:2", "release");
      assert.equal(device.pid(), pid);
      const revision = "jsonpath={.spec.source.targetRevision}";
      await eventually(sandbox, `[ "$(${KUBECTL} -n argocd get application edge-root -o '${revision}')" = release ]`);
    });

    test("that waits for an image leaves the device applied, and says so", async () => {
      const { device, sandbox } = of();
      const image = "lab.invalid/argocd:3";
      const status = JSON.stringify({
        status: {
          conditions: [{ type: "Ready", status: "False" }],
          containerStatuses: [
            {
              name: "c",
              image,
              imageID: "",
              ready: false,
              restartCount: 0,
              state: { waiting: { reason: "ImagePullBackOff" } },
            },
          ],
        },
      });
      const waiting = device.sh(`cat >/tmp/wait.sh <<'END'
until ${KUBECTL} -n argocd get pod argocd-application-controller-0 -o 'jsonpath={.spec.containers[0].image} {.status.phase}' | grep -q ':3 Running'; do sleep 0.2; done
until [ -e /tmp/stop ]; do ${KUBECTL} -n argocd patch pod argocd-application-controller-0 --subresource=status --type=merge -p '${status}'; done
END
sh /tmp/wait.sh >/dev/null 2>&1 & echo started`);
      assert.equal(waiting, "started");
      const { engine: state } = applied(device, PULLING, image);
      device.sh(": >/tmp/stop");
      assert.equal(state, `waiting: ImagePullBackOff ${image}`);
      device.sh(`${KUBECTL} -n argocd delete pod argocd-application-controller-0`);
      await eventually(
        sandbox,
        `${KUBECTL} -n argocd rollout status statefulset argocd-application-controller --timeout=5s`,
      );
    });

    test("is as before after a run that failed", async () => {
      const { device, sandbox } = of();
      const answer = device.applyText(payloadWith(device, BROKEN, "lab.invalid/argocd:4", "failed"));
      assert.equal(answer.result, "rolled-back", answer.reason);
      const image = "jsonpath={.spec.template.spec.containers[0].image}";
      await eventually(
        sandbox,
        `[ "$(${KUBECTL} -n argocd get deployment argocd-repo-server -o '${image}')" = lab.invalid/argocd:3 ]`,
      );
      assert.equal(device.sh(`grep -c argocd:3 ${MANIFESTS}/edge-fleet-engine-1-argocd.yaml`), "2");
    });

    test("leaves, and what it has brought stays", async () => {
      const { device, sandbox } = of();
      device.sh(`echo '${CHILD}' | ${KUBECTL} create -f -; ${KUBECTL} create configmap brought`);
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
      assert.equal(applied(device, PULLING, "lab.invalid/argocd:3").engine, "ready");
      await eventually(sandbox, `${KUBECTL} -n argocd get application edge-root`);
    });

    test("is not put beside an Argo CD of somebody else's", () => {
      const { device } = of();
      applied(device, BARE);
      device.sh(`${KUBECTL} create namespace theirs; ${KUBECTL} -n theirs create deployment argocd-application-controller --image=lab.invalid/a
        ${KUBECTL} -n theirs label deployment argocd-application-controller app.kubernetes.io/name=argocd-application-controller`);
      const { result, reason } = device.applyText(payloadWith(device, PULLING, "lab.invalid/argocd:3"));
      assert.equal(result, "failed");
      assert.match(
        reason,
        /^engine: an Argo CD that edge-fleet did not install is in the namespace theirs, .*set gitops.engine: none$/,
      );
      device.sh(`${KUBECTL} delete namespace theirs --wait=false`);
      assert.equal(device.sh(`ls ${MANIFESTS} | grep edge-fleet || :`), "");
    });
  },
  () => ({ address: ADDRESS, binds: { [K3S_API_PATH]: api } }),
);

void [PROGRAM_PATH, readOutcome];
