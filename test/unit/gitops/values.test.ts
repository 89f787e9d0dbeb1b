/** What of a device reaches its workloads, judged by the real kustomize, which gets the patches as Argo CD hands them over. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { parse, parseAllDocuments, stringify } from "yaml";
import type { KustomizePatch } from "../../../components/gitops/objects.ts";
import { renderTree } from "../../../components/gitops/tree.ts";
import { deviceSource, valueAnnotations } from "../../../components/gitops/values.ts";
import { planTree, writeTree } from "../../../components/gitops/writer.ts";
import { FULL_EXAMPLE, inFolder } from "./fleet.ts";
import { runTool } from "./tools.ts";

interface PodTemplate {
  readonly metadata?: { readonly labels?: Record<string, string>; readonly annotations?: Record<string, string> };
}
interface Built {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly annotations?: Record<string, string> };
  readonly spec?: {
    readonly replicas?: number;
    readonly template?: PodTemplate;
    readonly jobTemplate?: { readonly spec: { readonly template: PodTemplate } };
    readonly volumeClaimTemplates?: readonly PodTemplate[];
  };
}

const SYNC_OPTIONS = "argocd.argoproj.io/sync-options";
const VALUES = { coordinates: "35.68,139.77", url: "https://x.example:1/?a=b,c", number: "12", lines: "a\nb: $& c" };
const DEVICE = { id: "tokyo-0001", region: "tokyo", model: "rpi4-4g", ring: "canary", engine: "argocd" } as const;

/** Every kind of pod template, and what outlives a workload. */
const MORE_KINDS = `
apiVersion: apps/v1
kind: StatefulSet
metadata: { name: store }
spec:
  selector: { matchLabels: { app: store } }
  template: { metadata: { labels: { app: store } }, spec: { containers: [{ name: c, image: i }] } }
  volumeClaimTemplates: [{ metadata: { name: data }, spec: { accessModes: [ReadWriteOnce] } }]
---
apiVersion: apps/v1
kind: DaemonSet
metadata: { name: agent }
spec:
  selector: { matchLabels: { app: agent } }
  template: { metadata: { labels: { app: agent } }, spec: { containers: [{ name: c, image: i }] } }
---
apiVersion: batch/v1
kind: Job
metadata: { name: once }
spec: { template: { spec: { restartPolicy: Never, containers: [{ name: c, image: i }] } } }
---
apiVersion: batch/v1
kind: Job
metadata: { name: hook, annotations: { argocd.argoproj.io/hook: Sync } }
spec: { template: { spec: { restartPolicy: Never, containers: [{ name: c, image: i }] } } }
---
apiVersion: batch/v1
kind: CronJob
metadata: { name: nightly }
spec:
  schedule: "0 3 * * *"
  jobTemplate: { spec: { template: { spec: { restartPolicy: Never, containers: [{ name: c, image: i }] } } } }
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: data }
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: cache, labels: { edge-fleet.dev/keep: "false" } }
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: widgets.example.com }
spec: { group: example.com }
`;

/** Builds a leaf whose base has every kind of pod template, before and after a change of the leaf. */
function buildLeaf(change: (leaf: string) => void): { before: Built[]; after: Built[] } {
  let built: { before: Built[]; after: Built[] } | undefined;
  inFolder((directory) => {
    writeTree(directory, planTree(directory, renderTree(FULL_EXAMPLE)));
    const base = join(directory, "base");
    writeFileSync(join(base, "more.yaml"), MORE_KINDS);
    const kustomization = join(base, "kustomization.yaml");
    const text = readFileSync(kustomization, "utf8");
    writeFileSync(kustomization, text.replace("resources:\n", "resources:\n  - more.yaml\n"));
    const leaf = join(directory, "overlays/tokyo/rpi4-4g");
    const build = () =>
      parseAllDocuments(runTool("kustomize", ["build", leaf])).map((document) => document.toJS() as Built);
    const before = build();
    change(leaf);
    built = { before, after: build() };
  });
  assert.ok(built);
  return built;
}

/** As Build of util/kustomize/kustomize.go of Argo CD v3.2.0 does it. */
function patchAsArgoCd(folder: string, patches: readonly KustomizePatch[]): void {
  const file = join(folder, "kustomization.yaml");
  const kustomization = parse(readFileSync(file, "utf8")) as { patches?: readonly unknown[] };
  writeFileSync(file, stringify({ ...kustomization, patches: [...(kustomization.patches ?? []), ...patches] }));
}

const named = ({ kind, metadata: { name } }: Built) => `${kind} ${name}`;

/** By object: what a test asks of its pod template. */
function ofTemplates<T>(objects: readonly Built[], ask: (template: PodTemplate) => T): Record<string, T> {
  return Object.fromEntries(
    objects.flatMap((object) => {
      const template = object.spec?.template ?? object.spec?.jobTemplate?.spec.template;
      return template === undefined ? [] : [[named(object), ask(template)]];
    }),
  );
}

test("a device's values reach every object, and every pod template that may be changed", () => {
  const patch = {
    patch: '[{"op":"add","path":"/spec/replicas","value":7}]',
    target: { kind: "Deployment", name: "web" },
  };
  const { kustomize } = deviceSource("kustomize", { ...DEVICE, values: VALUES }, [patch]);
  const { before, after } = buildLeaf((leaf) => patchAsArgoCd(leaf, kustomize?.patches ?? []));
  assert.deepEqual(after.map(named), before.map(named));
  const own: Record<string, string> = { "edge-fleet.dev/device": "tokyo-0001", ...valueAnnotations(VALUES) };
  assert.equal(own["values.edge-fleet.dev/url"], VALUES.url);
  for (const { metadata } of after) assert.deepEqual({ ...metadata.annotations, ...own }, metadata.annotations);
  assert.deepEqual(
    ofTemplates(after, ({ metadata }) => isDeepStrictEqual(metadata?.annotations, own)),
    {
      "CronJob nightly": true,
      "DaemonSet agent": true,
      "Deployment web": true,
      "Job hook": true,
      "Job once": false,
      "StatefulSet store": true,
    },
  );
  assert.equal(after.find(({ kind }) => kind === "Deployment")?.spec?.replicas, 7, "the device's own patch");
});

test("namespaces, volume claims and definitions are neither pruned nor deleted, unless the team says so", () => {
  const { kustomize } = deviceSource("kustomize", DEVICE);
  const { after } = buildLeaf((leaf) => patchAsArgoCd(leaf, kustomize?.patches ?? []));
  const kept = after.filter(({ metadata }) => metadata.annotations?.[SYNC_OPTIONS] === "Prune=false,Delete=false");
  assert.deepEqual(kept.map(named).sort(), [
    "CustomResourceDefinition widgets.example.com",
    "Namespace edge-apps",
    "PersistentVolumeClaim data",
  ]);
});

test("the labels of region and model reach no field that an API server keeps as it is", () => {
  const { after } = buildLeaf(() => {});
  assert.deepEqual(
    ofTemplates(after, ({ metadata }) => metadata?.labels?.["edge-fleet.dev/model"]),
    {
      "CronJob nightly": "rpi4-4g",
      "DaemonSet agent": "rpi4-4g",
      "Deployment web": "rpi4-4g",
      "Job hook": undefined,
      "Job once": undefined,
      "StatefulSet store": "rpi4-4g",
    },
  );
  for (const { spec } of after)
    for (const { metadata } of spec?.volumeClaimTemplates ?? []) assert.equal(metadata?.labels, undefined);
});

test("a chart gets the device's id and values below global.edgeFleet", () => {
  assert.deepEqual(deviceSource("helm", { ...DEVICE, values: { b: "2", a: "1" } }), {
    helm: {
      valuesObject: {
        global: {
          edgeFleet: {
            device: "tokyo-0001",
            model: "rpi4-4g",
            region: "tokyo",
            ring: "canary",
            values: { a: "1", b: "2" },
          },
        },
      },
    },
  });
});
