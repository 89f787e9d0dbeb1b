/** The text of the engine: what is reviewed, and what holds of every pod of it. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { parseQuantity } from "../../../../cli/check/memory.ts";
import { renderEngine } from "../../../../components/gitops/engine/argocd/index.ts";
import {
  engineRequestMiB,
  engineSize,
  reconciliation,
  runsArgoCd,
} from "../../../../components/gitops/engine/argocd/settings.ts";
import { podMemoryMiB } from "../../../../components/plan/distributions/reservations.ts";
import { assertGolden } from "../../../golden.ts";
import { gitopsOf } from "../../device/profile.ts";
import { validate, writeKubernetesSchemas } from "../schemas.ts";
import { containerOf, parsedEngine, SETTINGS, templates } from "./objects.ts";

for (const memoryMiB of [2048, 4096])
  test(`the engine of a model of ${memoryMiB} MiB is as reviewed`, () =>
    assertGolden(`engine/argocd-${memoryMiB}.yaml`, renderEngine({ ...SETTINGS, memoryMiB })));

test("the same settings give the same bytes, other settings others", () => {
  const text = renderEngine(SETTINGS);
  assert.equal(renderEngine({ ...SETTINGS, images: { ...SETTINGS.images } }), text);
  for (const other of [{ memoryMiB: 2048 }, { reconcileMinutes: 5 }, { images: { ...SETTINGS.images, redis: "x" } }])
    assert.notEqual(renderEngine({ ...SETTINGS, ...other }), text);
  assert.equal(renderEngine({ ...SETTINGS, memoryMiB: 4000 }), text, "two models of one size share their text");
});

test("Kubernetes' own schemas take every object, and refuse one with a field of another name", (context) => {
  const schemas = mkdtempSync(join(tmpdir(), "edge-fleet-schemas-"));
  context.after(() => rmSync(schemas, { recursive: true, force: true }));
  writeKubernetesSchemas(schemas);
  const text = renderEngine(SETTINGS);
  const count = parsedEngine().length;
  assert.match(validate(schemas, text), new RegExp(`Valid: ${count}, Invalid: 0, Errors: 0, Skipped: 0`));
  for (const [field, wrong] of [
    ["podManagementPolicy: Parallel", "podManagement: Parallel"],
    ["persistentVolumeReclaimPolicy: Retain", "reclaimPolicy: Retain"],
    ["nonResourceURLs:", "nonResourceUrls:"],
  ] as const) {
    const broken = text.replace(field, wrong);
    assert.ok(broken !== text);
    assert.throws(() => validate(schemas, broken), /is invalid|Invalid: 1/);
  }
});

for (const [name, template] of templates()) {
  test(`${name} runs confined, on the server, from an image by digest that is pulled once`, () => {
    const { spec, metadata } = template;
    const [container, ...others] = spec.containers;
    assert.ok(container !== undefined && others.length === 0);
    assert.deepEqual(metadata.labels, { "app.kubernetes.io/name": name });
    assert.match(container.image, /@sha256:[0-9a-f]{64}$/);
    assert.equal(container.imagePullPolicy, "IfNotPresent");
    assert.equal(spec.automountServiceAccountToken, name === "argocd-application-controller");
    assert.deepEqual(spec.securityContext, {
      runAsNonRoot: true,
      runAsUser: 999,
      runAsGroup: 999,
      seccompProfile: { type: "RuntimeDefault" },
    });
    assert.deepEqual((container as unknown as { securityContext: unknown }).securityContext, {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
      readOnlyRootFilesystem: true,
    });
    assert.deepEqual(spec.nodeSelector, { "edge-fleet.dev/engine": "argocd" });
    assert.equal("initContainers" in spec || "hostNetwork" in spec, false);
  });
}

test("what is counted against a model is what the pods request, and leaves it more than half", () => {
  for (const memoryMiB of [2048, 3072, 4096, 8192, 16384]) {
    const requested = [...templates({ memoryMiB }).values()].reduce(
      (sum, { spec }) => sum + (parseQuantity(spec.containers[0]?.resources.requests.memory) ?? 0),
      0,
    );
    assert.equal(requested / 1024 ** 2, engineRequestMiB(memoryMiB));
    assert.ok(engineRequestMiB(memoryMiB) * 2 < podMemoryMiB(memoryMiB), `${memoryMiB}`);
    for (const memory of [engineSize(memoryMiB).controller, engineSize(memoryMiB).repoServer])
      assert.ok(memory.limitMiB >= 2 * memory.requestMiB);
  }
});

/**
 * Seconds between two looks, on average: Argo CD's timer ticks each interval, a look is due up to the jitter later, and one
 * that is due before a whole interval is over is left out (controller/appcontroller.go, UpdateFunc and needRefreshAppStatus).
 */
function meanInterval(everySeconds: number, jitterSeconds: number): number {
  let [seed, last, looks] = [1, 0, 0];
  for (let tick = 1; tick <= 200_000; tick++) {
    seed = (seed * 48_271) % 0x7fffffff;
    const due = tick * everySeconds + (jitterSeconds * seed) / 0x7fffffff;
    if (due - last <= everySeconds) continue;
    [last, looks] = [due, looks + 1];
  }
  return last / looks;
}

test("the tables of docs/operations.md say what devices get, and what Git is asked", () => {
  const text = readFileSync(join(import.meta.dirname, "../../../../docs/operations.md"), "utf8").replaceAll(/ +/g, " ");
  for (const memoryMiB of [2048, 4096, 8192]) {
    const { controller, repoServer, redis, parallel } = engineSize(memoryMiB);
    const cells = [controller, repoServer, redis].map(({ requestMiB, limitMiB }) => `${requestMiB}, ${limitMiB} MiB`);
    const left = podMemoryMiB(memoryMiB) - engineRequestMiB(memoryMiB);
    const row = `| ${[...cells, parallel, `${left} of ${memoryMiB} MiB`].join(" | ")} |`;
    assert.ok(text.includes(row), row);
  }
  for (const reconcileMinutes of [2, 10, 60]) {
    const { everySeconds, jitterSeconds } = reconciliation({ reconcileMinutes });
    const looks = 86_400 / meanInterval(everySeconds, jitterSeconds);
    const megabytes = (branches: number) => `${((looks * (5365 + 73 * (branches - 1))) / 1e6).toFixed(1)} MB`;
    const requests = `${((looks * 5000) / 86_400).toPrecision(2)} requests/s`;
    const row = `| ${Math.round(looks)} | ${megabytes(10)} | ${megabytes(100)} | ${requests} |`;
    assert.ok(text.includes(row), row);
  }
});

test("Go's memory limit is below the container's, redis' values below its own", () => {
  for (const memoryMiB of [2048, 4096, 8192]) {
    const { controller, redis } = engineSize(memoryMiB);
    const { env } = containerOf("argocd-application-controller", { memoryMiB });
    const limit = env.find(({ name }) => name === "GOMEMLIMIT")?.value ?? "";
    assert.equal(Number.parseInt(limit, 10), Math.floor(controller.limitMiB * 0.8));
    const { args } = containerOf("argocd-redis", { memoryMiB });
    assert.ok(Number.parseInt(args[args.indexOf("--maxmemory") + 1] ?? "", 10) < redis.limitMiB * 0.7);
  }
});

test("the interval is in seconds, half of it at random, and an Application fails after three looks", () => {
  const { args } = containerOf("argocd-application-controller", { reconcileMinutes: 20 });
  for (const flag of ["--app-resync=1200", "--app-resync-jitter=600", "--repo-error-grace-period-seconds=5400"])
    assert.ok(args.includes(flag), flag);
  const { args: repoServer } = containerOf("argocd-repo-server", { reconcileMinutes: 20 });
  assert.ok(repoServer.includes("--revision-cache-expiration=1200s"));
});

test("only the machine that runs the API server of a fleet's own engine gets it", () => {
  assert.equal(runsArgoCd({ joins: undefined, gitops: gitopsOf("argocd") }), true);
  assert.equal(runsArgoCd({ joins: "tokyo-1", gitops: gitopsOf("argocd") }), false);
  assert.equal(runsArgoCd({ joins: undefined, gitops: gitopsOf("argocd-agent") }), true);
  for (const engine of ["flux", "none"] as const)
    assert.equal(runsArgoCd({ joins: undefined, gitops: gitopsOf(engine) }), false);
});
