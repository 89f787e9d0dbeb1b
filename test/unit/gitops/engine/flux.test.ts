/** The text of Flux on a device: what is reviewed, and what holds of every pod of it. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { parseAllDocuments } from "yaml";
import { parseQuantity } from "../../../../cli/check/memory.ts";
import { engineRequestMiB } from "../../../../components/gitops/engine/argocd/settings.ts";
import { renderFlux } from "../../../../components/gitops/engine/flux/index.ts";
import {
  type FluxSettings,
  fluxRequestMiB,
  fluxSize,
  runsFlux,
} from "../../../../components/gitops/engine/flux/settings.ts";
import { podMemoryMiB } from "../../../../components/plan/distributions/reservations.ts";
import { assertGolden } from "../../../golden.ts";
import { gitopsOf } from "../../device/profile.ts";
import { validate, writeKubernetesSchemas } from "../schemas.ts";
import type { ParsedObject, Template } from "./objects.ts";

const SETTINGS: FluxSettings = {
  images: {
    sourceController: `ghcr.io/fluxcd/source-controller:v1.9.1@sha256:${"c".repeat(64)}`,
    kustomizeController: `ghcr.io/fluxcd/kustomize-controller:v1.9.1@sha256:${"d".repeat(64)}`,
  },
  memoryMiB: 2048,
};
const MODELS = [2048, 3072, 4096, 8192];

function parsed(memoryMiB = 2048): ParsedObject[] {
  return parseAllDocuments(renderFlux({ ...SETTINGS, memoryMiB })).map((document) => document.toJS() as ParsedObject);
}

function templates(memoryMiB?: number): [string, Template][] {
  return parsed(memoryMiB).flatMap(({ kind, metadata, spec }) =>
    kind === "Deployment" ? [[metadata.name, spec?.template as Template]] : [],
  );
}

for (const memoryMiB of [2048, 4096])
  test(`Flux of a model of ${memoryMiB} MiB is as reviewed`, () =>
    assertGolden(`engine/flux-${memoryMiB}.yaml`, renderFlux({ ...SETTINGS, memoryMiB })));

test("Kubernetes' own schemas take every object of Flux, and refuse one with a field of another name", (context) => {
  const schemas = mkdtempSync(join(tmpdir(), "edge-fleet-schemas-"));
  context.after(() => rmSync(schemas, { recursive: true, force: true }));
  writeKubernetesSchemas(schemas);
  const text = renderFlux(SETTINGS);
  assert.match(validate(schemas, text), new RegExp(`Valid: ${parsed().length}, Invalid: 0, Errors: 0, Skipped: 0`));
  const broken = text.replace("persistentVolumeReclaimPolicy: Retain", "reclaimPolicy: Retain");
  assert.ok(broken !== text);
  assert.throws(() => validate(schemas, broken), /is invalid|Invalid: 1/);
});

for (const [name, { spec, metadata }] of templates()) {
  test(`${name} runs confined, on the server, from an image by digest that is pulled once`, () => {
    const [container, ...others] = spec.containers;
    assert.ok(container !== undefined && others.length === 0);
    assert.deepEqual(metadata.labels, { app: name });
    assert.match(container.image, /@sha256:[0-9a-f]{64}$/);
    assert.equal(container.imagePullPolicy, "IfNotPresent");
    assert.deepEqual(spec.securityContext, {
      runAsNonRoot: true,
      runAsUser: 65534,
      runAsGroup: 65534,
      seccompProfile: { type: "RuntimeDefault" },
    });
    assert.deepEqual((container as unknown as { securityContext: unknown }).securityContext, {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
      readOnlyRootFilesystem: true,
    });
    assert.deepEqual(spec.nodeSelector, { "edge-fleet.dev/engine": "flux" });
    assert.equal("initContainers" in spec || "hostNetwork" in spec, false);
    const limit = container.env.find((variable) => variable.name === "GOMEMLIMIT")?.value ?? "";
    const { memory } = container.resources.limits;
    assert.equal(Number.parseInt(limit, 10), Math.floor(Number.parseInt(memory ?? "", 10) * 0.8));
    assert.ok(!container.args.some((argument) => argument.includes("leader-election")));
  });
}

test("what is counted against a model is what the pods request: under 150 MiB of 2 GiB, and less than Argo CD's", () => {
  for (const memoryMiB of MODELS) {
    const requested = templates(memoryMiB).reduce(
      (sum, [, { spec }]) => sum + (parseQuantity(spec.containers[0]?.resources.requests.memory) ?? 0),
      0,
    );
    assert.equal(requested / 1024 ** 2, fluxRequestMiB(memoryMiB));
    assert.ok(fluxRequestMiB(memoryMiB) * 2 < engineRequestMiB(memoryMiB));
    assert.ok(fluxRequestMiB(memoryMiB) * 2 < podMemoryMiB(memoryMiB));
    const { sourceController, kustomizeController } = fluxSize(memoryMiB);
    for (const { requestMiB, limitMiB } of [sourceController, kustomizeController])
      assert.ok(limitMiB >= 2 * requestMiB);
  }
  assert.ok(fluxRequestMiB(2048) < 150);
});

test("the table of docs/operations.md says what devices get", () => {
  const text = readFileSync(join(import.meta.dirname, "../../../../docs/operations.md"), "utf8").replaceAll(/ +/g, " ");
  for (const memoryMiB of [2048, 4096]) {
    const { sourceController, kustomizeController } = fluxSize(memoryMiB);
    const cells = [sourceController, kustomizeController].map(
      ({ requestMiB, limitMiB }) => `${requestMiB}, ${limitMiB} MiB`,
    );
    const left = podMemoryMiB(memoryMiB) - fluxRequestMiB(memoryMiB);
    const row = `| ${[...cells, `${left} of ${memoryMiB} MiB`].join(" | ")} |`;
    assert.ok(text.includes(row), row);
  }
});

test("neither controller may do anything outside of Flux' namespace, and in it no more than with its own kinds", () => {
  const bound = parsed().filter(({ kind }) => /^(Cluster)?Role/.test(kind));
  assert.deepEqual(
    bound.map(({ kind, metadata }) => [kind, metadata.name, metadata.namespace]),
    ["source-controller", "kustomize-controller"].flatMap((name) => [
      ["Role", name, "flux-system"],
      ["RoleBinding", name, "flux-system"],
    ]),
  );
  assert.ok(!JSON.stringify(bound).includes('"*"'));
});

test("only the machine that runs the API server of a fleet's own engine gets Flux", () => {
  assert.equal(runsFlux({ joins: undefined, gitops: gitopsOf("flux") }), true);
  assert.equal(runsFlux({ joins: "tokyo-1", gitops: gitopsOf("flux") }), false);
  for (const engine of ["argocd", "argocd-agent", "none"] as const)
    assert.equal(runsFlux({ joins: undefined, gitops: gitopsOf(engine) }), false);
});
