/**
 * The agent of a device, as far as its API goes: the real API server takes the agent's objects and the Secret that the device
 * makes of its own key; the hub's Applications and the entry's change places. The agent's process is for agent.test.ts.
 */
import assert from "node:assert/strict";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { before, test } from "node:test";
import type { DeviceAnswer } from "../../components/device/result.ts";
import { FLEET_CA_KEY } from "../../components/identity/authority.ts";
import type { ArtifactsLock } from "../../components/inventory/schema.ts";
import type { Profile } from "../../components/inventory/types.ts";
import { payloadText, renderPayload } from "../../components/plan/payload.ts";
import { type Device, OLD, profileWith, underEachShell } from "../lab/standins/apply-device.ts";
import { realDefinitions } from "../lab/standins/engine-lock.ts";
import { K3S_API_PATH, k3sApiStandin } from "../lab/standins/index.ts";
import { locked } from "../lab/standins/locked.ts";
import { eventually } from "../lab/standins/sandbox.ts";
import { ensureToolchain } from "../lab/toolchain/index.ts";
import { buildProfile, gitopsOf, LOCK } from "../unit/device/profile.ts";
import { authorityKey } from "../unit/identity/keys.ts";

const ADDRESS = "10.250.0.1";
const MANIFESTS = "/var/lib/rancher/k3s/server/manifests";
const CLIENT = `${MANIFESTS}/edge-fleet-hub-client.yaml`;
const KUBECTL = "k3s kubectl";
const URL = "https://git.example.com/fleet.git";
const AUTHORITY = authorityKey();
const BINARY = k3sApiStandin(OLD);

const network = { ...buildProfile().network, nodeIp: ADDRESS };
const BASE: Profile = profileWith(OLD, { network, security: "baseline", gitops: gitopsOf("argocd-agent") });
const agentOf = (identityKey: string, generation = 2026): Profile => {
  const { agent, ...gitops } = gitopsOf("argocd-agent");
  assert.ok(agent);
  return { ...BASE, hostKey: "ssh-ed25519 AAAA", identityKey, gitops: { ...gitops, agent: { ...agent, generation } } };
};

const application = (name: string, annotations: object = {}) => ({
  apiVersion: "argoproj.io/v1alpha1",
  kind: "Application",
  metadata: { name, namespace: "argocd", annotations, finalizers: ["resources-finalizer.argocd.argoproj.io"] },
  spec: {
    project: "edge-workloads",
    source: { repoURL: URL, targetRevision: "a".repeat(40), path: "fleet/base" },
    destination: { server: "https://kubernetes.default.svc" },
  },
});
/** As the agent makes one of the hub's: internal/manager/manager.go of argocd-agent acb60cd1, SourceUIDAnnotation. */
const FROM_HUB = application("edge-0001-workloads", { "argocd.argoproj.io/source-uid": "0c1d" });
const ROOT = { ...application("edge-root"), metadata: { name: "edge-root", namespace: "argocd" } };
const CHILD = application("workloads");

let api = "";
let definitions: Awaited<ReturnType<typeof realDefinitions>> = [];
before(async () => {
  const { parts } = await ensureToolchain((line) => console.error(line), ["k3s-apiserver"]);
  api = parts[0]?.path ?? "";
  definitions = await realDefinitions();
});

function lockOf(device: Device): ArtifactsLock {
  for (const { text } of definitions) device.store(text);
  device.store(BINARY);
  const crds = definitions.map(({ file }) => file);
  const image = (name: string) => `lab.invalid/${name}:v1@sha256:${"a".repeat(64)}`;
  const images = { argocd: image("argocd"), redis: image("redis") };
  const [version = ""] = Object.keys(LOCK.argocd ?? {});
  return {
    k3s: { [OLD]: { amd64: locked(BINARY), arm64: locked(BINARY) } },
    argocd: { [version]: { crds, images } },
    argocdAgent: { "v0.10.0": { image: image("argocd-agent") } },
  };
}

function applied(device: Device, profile: Profile, entry: readonly object[] = []): DeviceAnswer {
  const secrets = { [FLEET_CA_KEY]: AUTHORITY };
  const payload = renderPayload(profile, lockOf(device), { entry, gitUrl: URL, secrets });
  for (const { content } of payload.artifacts) if (content !== undefined) device.store(content);
  const answer = device.applyText(payloadText(payload));
  const log = () => device.sh("tail -n 40 /var/log/edge-fleet/apply.log");
  assert.ok(["applied", "unchanged"].includes(answer.result), `${answer.reason}\n${log()}`);
  return answer;
}

const create = (device: Device, object: object): string =>
  device.sh(`cat >/tmp/object.json <<'END'\n${JSON.stringify(object)}\nEND\n${KUBECTL} create -f /tmp/object.json`);
const applicationsOf = (device: Device): string =>
  device.sh(`${KUBECTL} -n argocd get applications -o 'jsonpath={.items[*].metadata.name}'`);

underEachShell(
  "the agent of a device",
  (of) => {
    let identity = "";

    test("logs in to the hub with the device's own key, in a Secret that the device makes", async () => {
      const { device, sandbox } = of();
      device.sh(
        "mkdir -p /var/lib/edge-fleet; ssh-keygen -q -t ecdsa -b 256 -m PKCS8 -N '' -C '' -f /var/lib/edge-fleet/identity.key",
      );
      identity = device.sh("cut -d ' ' -f 1,2 /var/lib/edge-fleet/identity.key.pub");
      assert.equal(applied(device, agentOf(identity)).engine, "ready");
      const secret = "secret argocd-agent-client-tls-2026";
      await eventually(sandbox, `${KUBECTL} -n argocd get ${secret}`);
      const field = (name: string) =>
        device.sh(`${KUBECTL} -n argocd get ${secret} -o 'jsonpath={.data.tls\\.${name}}' | base64 -d`);
      const certificate = new X509Certificate(field("crt"));
      assert.equal(certificate.subject, "CN=edge-0001");
      assert.ok(certificate.checkPrivateKey(createPrivateKey(field("key"))));
      assert.equal(device.sh(`${KUBECTL} -n argocd get ${secret} -o 'jsonpath={.type}'`), "kubernetes.io/tls");
      assert.equal(device.sh(`stat -c %a ${CLIENT}`), "600");
      await eventually(sandbox, `${KUBECTL} -n argocd get secret argocd-agent-ca`);
      await eventually(sandbox, `${KUBECTL} -n argocd get deployment argocd-agent-agent`);
      const key = device.sh("sed -n 2p /var/lib/edge-fleet/identity.key");
      assert.equal(device.sh(`grep -rlF '${key}' /var/log/edge-fleet /run 2>/dev/null || :`), "");
      assert.equal(applied(device, agentOf(identity)).result, "unchanged");
    });

    test("gets a renewed certificate without a restart, and the one before goes", async () => {
      const { device, sandbox } = of();
      const pid = device.pid();
      applied(device, agentOf(identity, 2027));
      assert.equal(device.pid(), pid);
      await eventually(sandbox, `${KUBECTL} -n argocd get secret argocd-agent-client-tls-2027`);
      await eventually(sandbox, `! ${KUBECTL} -n argocd get secret argocd-agent-client-tls-2026`);
      const name = "jsonpath={.data.agent\\.tls\\.secret-name}";
      await eventually(
        sandbox,
        `[ "$(${KUBECTL} -n argocd get configmap argocd-agent-params -o '${name}')" = argocd-agent-client-tls-2027 ]`,
      );
    });

    test("hands over to the device's entry: the hub's Application goes, what it brought stays", async () => {
      const { device, sandbox } = of();
      create(device, FROM_HUB);
      device.sh(`${KUBECTL} create configmap brought`);
      const pid = device.pid();
      assert.equal(applied(device, { ...agentOf(identity, 2027), gitops: gitopsOf("argocd") }, [ROOT]).engine, "ready");
      assert.equal(device.pid(), pid);
      await eventually(sandbox, `${KUBECTL} -n argocd get application edge-root`);
      assert.equal(applicationsOf(device), "edge-root");
      assert.equal(device.sh(`${KUBECTL} get configmap brought -o name`), "configmap/brought");
      await eventually(sandbox, `! ${KUBECTL} -n argocd get deployment argocd-agent-agent`);
      await eventually(sandbox, `! ${KUBECTL} -n argocd get secret argocd-agent-client-tls-2027`);
      assert.equal(
        device.sh(`ls ${MANIFESTS} | grep hub || :; ls /var/lib/edge-fleet/agent/client-tls.yaml 2>/dev/null || :`),
        "",
      );
      assert.equal(device.sh(`${KUBECTL} -n argocd get statefulset -o 'jsonpath={.items[*].spec.replicas}'`), "1");
    });

    test("takes over from the device's entry: its Applications go, the hub's stay", async () => {
      const { device, sandbox } = of();
      create(device, CHILD);
      create(device, FROM_HUB);
      applied(device, agentOf(identity, 2027));
      await eventually(sandbox, `${KUBECTL} -n argocd get deployment argocd-agent-agent`);
      assert.equal(applicationsOf(device), "edge-0001-workloads");
      assert.equal(device.sh(`${KUBECTL} get configmap brought -o name`), "configmap/brought");
      await eventually(sandbox, `${KUBECTL} -n argocd get secret argocd-agent-client-tls-2027`);
    });

    test("is not put on a device without its identity, which goes on as it was", () => {
      const { device } = of();
      device.sh("mv /var/lib/edge-fleet/identity.key /tmp/identity.key");
      const secrets = { [FLEET_CA_KEY]: AUTHORITY };
      const payload = renderPayload(agentOf(identity, 2026), lockOf(device), { gitUrl: URL, secrets });
      for (const { content } of payload.artifacts) if (content !== undefined) device.store(content);
      const { result, reason } = device.applyText(payloadText(payload));
      assert.equal(result, "failed", reason);
      assert.match(
        reason,
        /^engine: the key of its identity, .*identity\.key, is missing, .* - enroll the device again$/,
      );
      device.sh("mv /tmp/identity.key /var/lib/edge-fleet/identity.key");
    });
  },
  () => ({ address: ADDRESS, binds: { [K3S_API_PATH]: api } }),
);
