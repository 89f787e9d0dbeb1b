/** External Secrets on a device: what it gets, what its plan tells, and what stands against it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Profile } from "../../../components/inventory/types.ts";
import { checkDistribution } from "../../../components/plan/distributions/index.ts";
import { renderPayload } from "../../../components/plan/payload.ts";
import { planText } from "../../../components/plan/text.ts";
import { ARTIFACTS, buildProfile, EXTERNAL_SECRETS, gitopsOf, LOCK } from "./profile.ts";

const FOLDER = "/var/lib/rancher/k3s/server/manifests";

function external(engine: Profile["gitops"]["engine"], changes: Partial<Profile> = {}): Profile {
  return buildProfile({ gitops: { ...gitopsOf(engine), secrets: "external-secrets" }, ...changes });
}

for (const engine of ["argocd", "flux", "none"] as const)
  test(`engine ${engine}: it is ${engine === "none" ? "not " : ""}installed, and told in the plan where it is`, () => {
    const profile = external(engine);
    const payload = renderPayload(profile, LOCK);
    const lines = planText(profile, payload, "p").split("\n");
    const there = engine !== "none";
    assert.deepEqual(
      lines.filter((line) => /^gitops\.(secrets|sealed|external)/.test(line)),
      there ? [`gitops.externalSecrets.version: ${EXTERNAL_SECRETS}`, "gitops.secrets: external-secrets"] : [],
    );
    const artifacts = payload.artifacts.filter(({ installPath = "" }) =>
      /crd-[a-z]+s\.yaml|external/.test(installPath),
    );
    assert.deepEqual(
      artifacts.map(({ installPath, delivery }) => [installPath, delivery]),
      (there ? ["crd-externalsecrets", "crd-secretstores", "crd-generatorstates", "external-secrets"] : []).map(
        (name) => [`${FOLDER}/edge-fleet-${name}.yaml`, "push"],
      ),
    );
  });

const { image, crds = [] } = LOCK.externalSecrets?.[EXTERNAL_SECRETS] ?? {};

for (const [field, entry] of [
  ["image", { crds }],
  ["crds (generators.external-secrets.io_generatorstates.yaml)", { image, crds: crds.slice(0, 2) }],
] as const)
  test(`${field} that is not locked is told with the device and the fix`, () => {
    const lock = { ...LOCK, externalSecrets: { [EXTERNAL_SECRETS]: entry } };
    assert.throws(() => renderPayload(external("argocd"), lock), {
      message: `artifacts.lock.yaml: externalSecrets.${EXTERNAL_SECRETS}.${field} is missing, device edge-0001 needs it - run edge-fleet lock`,
    });
  });

test("what it takes is told with its engine, each registry once", () => {
  const told = (profile: Profile) =>
    checkDistribution(profile)
      .filter(({ setting }) => ["gitops.engine", "artifacts.images"].includes(setting.join(".")))
      .map(({ message }) => message.replace(/ - .*/, ""));
  const images = { ...ARTIFACTS, images: true };
  assert.deepEqual(told(external("flux", { artifacts: images })), [
    "the archive does not hold the images of Flux and External Secrets, which come from ghcr.io",
  ]);
  assert.deepEqual(told(external("argocd", { artifacts: images })), [
    "the archive does not hold the images of Argo CD and External Secrets, which come from quay.io and public.ecr.aws and ghcr.io",
  ]);
});
