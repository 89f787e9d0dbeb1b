/**
 * Sealed Secrets come and go on a device, by the real device program on a real API server: the keys' Secrets, the definition
 * and the controller's objects are there with the setting and gone without it, and the Secrets that it made stay. No process
 * of the controller runs here, see sealed-secrets.test.ts.
 */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import type { DeviceAnswer } from "../../components/device/result.ts";
import { makeSealingPair, sealingKeyName, sealingSecretKey } from "../../components/identity/sealing.ts";
import type { Profile } from "../../components/inventory/types.ts";
import { payloadText, renderPayload } from "../../components/plan/payload.ts";
import { type Device, OLD, profileWith, underEachShell } from "../lab/standins/apply-device.ts";
import { realFlux } from "../lab/standins/engine-lock.ts";
import { K3S_API_PATH, k3sApiStandin } from "../lab/standins/index.ts";
import { locked } from "../lab/standins/locked.ts";
import { eventually } from "../lab/standins/sandbox.ts";
import { ensureToolchain, sealedSecretDefinition } from "../lab/toolchain/index.ts";
import { buildProfile, gitopsOf, LOCK, SEALED_SECRETS } from "../unit/device/profile.ts";

const ADDRESS = "10.250.0.1";
const MANIFESTS = "/var/lib/rancher/k3s/server/manifests";
const KUBECTL = "k3s kubectl";
const BINARY = k3sApiStandin(OLD);
const [NEW, OLDER] = [makeSealingPair("tokyo", new Date(1)), makeSealingPair("tokyo", new Date(0))];
const SECRETS = Object.fromEntries([NEW, OLDER].map(({ certificate, key }) => [sealingSecretKey(certificate), key]));

const network = { ...buildProfile().network, nodeIp: ADDRESS };
/** With Flux, beside which nothing is of Argo CD. */
const gitops = gitopsOf("flux");
const WITHOUT: Profile = profileWith(OLD, { network, security: "baseline", gitops });
const WITH: Profile = { ...WITHOUT, gitops: { ...gitops, secrets: "sealed-secrets" }, sealing: [OLDER.certificate] };

let api = "";
let definition = "";
let flux: Awaited<ReturnType<typeof realFlux>> = { flux: {}, texts: [] };
before(async () => {
  const { parts } = await ensureToolchain((line) => console.error(line), ["k3s-apiserver"]);
  api = parts[0]?.path ?? "";
  definition = await sealedSecretDefinition();
  flux = await realFlux();
});

function applied(device: Device, profile: Profile): DeviceAnswer {
  device.store(BINARY);
  for (const text of [definition, ...flux.texts]) device.store(text);
  const crd = locked(definition, "http://127.0.0.1:9/sealedsecrets.yaml");
  const lock = {
    k3s: { [OLD]: { amd64: locked(BINARY), arm64: locked(BINARY) } },
    flux: flux.flux,
    sealedSecrets: { [SEALED_SECRETS]: { ...LOCK.sealedSecrets?.[SEALED_SECRETS], crd } },
  };
  const payload = renderPayload(profile, lock, { secrets: SECRETS });
  for (const { content } of payload.artifacts) if (content !== undefined) device.store(content);
  const answer = device.applyText(payloadText(payload));
  const log = () => device.sh("tail -n 40 /var/log/edge-fleet/apply.log");
  assert.ok(["applied", "unchanged"].includes(answer.result), `${answer.reason}\n${log()}`);
  return answer;
}

const nameOf = ({ certificate }: { certificate: string }) => `sealing-key-${sealingKeyName(certificate)}`;
const create = (device: Device, object: object): string =>
  device.sh(`cat >/tmp/object.json <<'END'\n${JSON.stringify(object)}\nEND\n${KUBECTL} create -f /tmp/object.json`);

underEachShell(
  "Sealed Secrets on a device",
  (of) => {
    test("come with their keys, without Argo CD's secrets, and a second run changes nothing", async () => {
      const { device, sandbox } = of();
      applied(device, WITHOUT);
      const pid = device.pid();
      applied(device, WITH);
      assert.equal(device.pid(), pid, "nothing restarts");
      await eventually(sandbox, `${KUBECTL} -n sealed-secrets get secret ${nameOf(OLDER)}`);
      await eventually(sandbox, `${KUBECTL} -n sealed-secrets get deployment sealed-secrets-controller`);
      await eventually(sandbox, `${KUBECTL} get crd sealedsecrets.bitnami.com`);
      const file = `${MANIFESTS}/edge-fleet-sealed-secrets-keys.yaml`;
      assert.equal(
        device.sh(`stat -c %a ${file}; ls ${MANIFESTS} | grep -c -e argocd -e engine-secrets || :`),
        "600\n0",
      );
      const line = OLDER.key.split("\n")[1] ?? "";
      assert.equal(device.sh(`grep -rlF '${line}' /var/log/edge-fleet /run 2>/dev/null || :`), "");
      assert.equal(applied(device, WITH).result, "unchanged");
    });

    test("take another key by a live file, and the one before goes", async () => {
      const { device, sandbox } = of();
      const pid = device.pid();
      applied(device, { ...WITH, sealing: [NEW.certificate, OLDER.certificate] });
      await eventually(sandbox, `${KUBECTL} -n sealed-secrets get secret ${nameOf(NEW)} ${nameOf(OLDER)}`);
      applied(device, { ...WITH, sealing: [NEW.certificate] });
      await eventually(sandbox, `! ${KUBECTL} -n sealed-secrets get secret ${nameOf(OLDER)}`);
      assert.equal(device.pid(), pid);
      const key = device.sh(
        `${KUBECTL} -n sealed-secrets get secret ${nameOf(NEW)} -o 'jsonpath={.data.tls\\.key}' | base64 -d`,
      );
      assert.equal(key.trim(), NEW.key.trim());
    });

    test("leave what they made, for who uses it and for their return", async () => {
      const { device, sandbox } = of();
      const metadata = { name: "app", namespace: "default" };
      create(device, {
        apiVersion: "bitnami.com/v1alpha1",
        kind: "SealedSecret",
        metadata,
        spec: { encryptedData: {} },
      });
      const uid = device.sh(`${KUBECTL} get sealedsecret app -o 'jsonpath={.metadata.uid}'`);
      const owner = { apiVersion: "bitnami.com/v1alpha1", kind: "SealedSecret", name: "app", uid, controller: true };
      const stringData = { value: "kept" };
      create(device, {
        apiVersion: "v1",
        kind: "Secret",
        metadata: { ...metadata, ownerReferences: [owner] },
        stringData,
      });
      create(device, {
        apiVersion: "v1",
        kind: "Secret",
        metadata: { name: "other", namespace: "default" },
        stringData,
      });
      applied(device, WITHOUT);
      await eventually(sandbox, `! ${KUBECTL} get crd sealedsecrets.bitnami.com`);
      await eventually(sandbox, `! ${KUBECTL} get namespace sealed-secrets`);
      // The collector of garbage has had its time: what has an owner that is gone would be gone too.
      device.sh("sleep 5");
      const secret = JSON.parse(device.sh(`${KUBECTL} get secret app -o json`));
      assert.equal(secret.data.value, Buffer.from("kept").toString("base64"));
      assert.equal(secret.metadata.ownerReferences, undefined);
      assert.deepEqual(secret.metadata.annotations, { "sealedsecrets.bitnami.com/managed": "true" });
      assert.equal(device.sh(`${KUBECTL} get secret other -o 'jsonpath={.metadata.annotations}'`), "");
      assert.equal(device.sh(`ls ${MANIFESTS} | grep seal || :`), "");
    });
  },
  () => ({ address: ADDRESS, binds: { [K3S_API_PATH]: api } }),
);
