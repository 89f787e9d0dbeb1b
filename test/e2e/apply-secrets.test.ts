/**
 * Sealed Secrets and External Secrets come and go on a device, by the real device program on a real API server: keys,
 * definitions and the controller's objects are there with the setting and gone without it, and the Secrets that it made stay.
 * No process of a controller runs here, see sealed-secrets.test.ts.
 */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { trimDefinition } from "../../cli/lock/definition.ts";
import type { DeviceAnswer } from "../../components/device/result.ts";
import { makeSealingPair, sealingKeyName, sealingSecretKey } from "../../components/identity/sealing.ts";
import type { Profile } from "../../components/inventory/types.ts";
import { payloadText, renderPayload } from "../../components/plan/payload.ts";
import { type Device, OLD, profileWith, underEachShell } from "../lab/standins/apply-device.ts";
import { realFlux } from "../lab/standins/engine-lock.ts";
import { K3S_API_PATH, k3sApiStandin } from "../lab/standins/index.ts";
import { locked } from "../lab/standins/locked.ts";
import { eventually } from "../lab/standins/sandbox.ts";
import { ensureToolchain, externalSecretsDefinition, sealedSecretDefinition } from "../lab/toolchain/index.ts";
import { buildProfile, EXTERNAL_SECRETS, gitopsOf, LOCK, SEALED_SECRETS } from "../unit/device/profile.ts";

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
const EXTERNAL: Profile = { ...WITHOUT, gitops: { ...gitops, secrets: "external-secrets" } };

let api = "";
let definition = "";
let external: { readonly name: string; readonly text: string }[] = [];
let flux: Awaited<ReturnType<typeof realFlux>> = { flux: {}, texts: [] };
before(async () => {
  const { parts } = await ensureToolchain((line) => console.error(line), ["k3s-apiserver"]);
  api = parts[0]?.path ?? "";
  definition = await sealedSecretDefinition();
  flux = await realFlux();
  external = await Promise.all(
    (LOCK.externalSecrets?.[EXTERNAL_SECRETS]?.crds ?? []).map(async ({ url }) => {
      const name = url.split("/").at(-1) ?? "";
      return { name, text: trimDefinition(await externalSecretsDefinition(name), url) };
    }),
  );
});

function applied(device: Device, profile: Profile): DeviceAnswer {
  device.store(BINARY);
  for (const text of [definition, ...flux.texts, ...external.map(({ text }) => text)]) device.store(text);
  const crd = locked(definition, "http://127.0.0.1:9/sealedsecrets.yaml");
  const lock = {
    k3s: { [OLD]: { amd64: locked(BINARY), arm64: locked(BINARY) } },
    flux: flux.flux,
    sealedSecrets: { [SEALED_SECRETS]: { ...LOCK.sealedSecrets?.[SEALED_SECRETS], crd } },
    externalSecrets: {
      [EXTERNAL_SECRETS]: {
        ...LOCK.externalSecrets?.[EXTERNAL_SECRETS],
        crds: external.map(({ name, text }) => locked(text, `http://127.0.0.1:9/${name}`)),
      },
    },
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

/** A Secret of the default namespace that an object of a controller's kind owns. */
function createOwned(device: Device, apiVersion: string, kind: string, spec: object, metadata: object = {}): void {
  const named = { name: "app", namespace: "default" };
  create(device, { apiVersion, kind, metadata: { ...named, ...metadata }, spec });
  const uid = device.sh(`${KUBECTL} get ${kind.toLowerCase()} app -o 'jsonpath={.metadata.uid}'`);
  const ownerReferences = [{ apiVersion, kind, name: "app", uid, controller: true }];
  create(device, {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { ...named, ownerReferences },
    stringData: { value: "kept" },
  });
}

/** The Secret once the collector of garbage has had its time: what has an owner that is gone would be gone too. */
function ownedAfterwards(device: Device): { data: { value: string }; metadata: Record<string, unknown> } {
  device.sh("sleep 5");
  const secret = JSON.parse(device.sh(`${KUBECTL} get secret app -o json`));
  assert.equal(secret.data.value, Buffer.from("kept").toString("base64"));
  assert.equal(secret.metadata.ownerReferences, undefined);
  return secret;
}

underEachShell(
  "Secrets on a device",
  (of) => {
    test("Sealed Secrets come with their keys, without Argo CD's secrets, and a second run changes nothing", async () => {
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

    test("Sealed Secrets take another key by a live file, and the one before goes", async () => {
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

    test("Sealed Secrets leave what they made, for who uses it and for their return", async () => {
      const { device, sandbox } = of();
      createOwned(device, "bitnami.com/v1alpha1", "SealedSecret", { encryptedData: {} });
      create(device, { apiVersion: "v1", kind: "Secret", metadata: { name: "other", namespace: "default" } });
      applied(device, WITHOUT);
      await eventually(sandbox, `! ${KUBECTL} get crd sealedsecrets.bitnami.com`);
      await eventually(sandbox, `! ${KUBECTL} get namespace sealed-secrets`);
      assert.deepEqual(ownedAfterwards(device).metadata.annotations, { "sealedsecrets.bitnami.com/managed": "true" });
      assert.equal(device.sh(`${KUBECTL} get secret other -o 'jsonpath={.metadata.annotations}'`), "");
      assert.equal(device.sh(`ls ${MANIFESTS} | grep seal || :`), "");
    });

    test("External Secrets come with their definitions, and leave what they made though nobody takes their finalizers", async () => {
      const { device, sandbox } = of();
      device.sh(`${KUBECTL} delete secret app`);
      applied(device, EXTERNAL);
      await eventually(sandbox, `${KUBECTL} -n external-secrets get deployment external-secrets`);
      for (const { name } of external) {
        const [group, plural] = name.replace(".yaml", "").split("_");
        await eventually(sandbox, `${KUBECTL} get crd ${plural}.${group}`);
      }
      assert.equal(applied(device, EXTERNAL).result, "unchanged");
      const spec = { secretStoreRef: { name: "store" }, dataFrom: [{ extract: { key: "app" } }] };
      createOwned(device, "external-secrets.io/v1", "ExternalSecret", spec, {
        finalizers: ["externalsecrets.external-secrets.io/externalsecret-cleanup"],
      });
      applied(device, WITHOUT);
      await eventually(sandbox, `! ${KUBECTL} get crd externalsecrets.external-secrets.io`);
      await eventually(sandbox, `! ${KUBECTL} get namespace external-secrets`);
      ownedAfterwards(device);
      assert.equal(device.sh(`ls ${MANIFESTS} | grep external || :`), "");
    });
  },
  () => ({ address: ADDRESS, binds: { [K3S_API_PATH]: api } }),
);
