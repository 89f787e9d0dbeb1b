/**
 * The emitted half of the Kustomize tree: one Component per model and per region, one overlay per pair of them that has
 * devices.
 */
import { stringify } from "yaml";
import type { WasmRuntime } from "../inventory/types.ts";
import { MANIFESTS_FILE } from "./application.ts";
import { MODEL_LABEL, REGION_LABEL, SIZE_LABEL, WASM_LABEL, WORKLOAD_NAMESPACE } from "./labels.ts";
import type { ModelRuntimes, RegionFacts, TreeModel, TreeWorkload } from "./tree-input.ts";
import { formatYaml } from "./yaml.ts";

const COMPONENT = { apiVersion: "kustomize.config.k8s.io/v1alpha1", kind: "Component" };
const KUSTOMIZATION = { apiVersion: "kustomize.config.k8s.io/v1beta1", kind: "Kustomization" };
const MEMORY_STEP_MIB = 32;

/** Pod templates that an API server lets one change. `includeTemplates` would take in those of Jobs and volume claims too. */
const TEMPLATES: readonly { readonly group: string; readonly kind: string; readonly path: string }[] = [
  ...["Deployment", "StatefulSet", "DaemonSet"].map((kind) => ({
    group: "apps",
    kind,
    path: "spec/template/metadata/labels",
  })),
  { group: "batch", kind: "CronJob", path: "spec/jobTemplate/spec/template/metadata/labels" },
];

/** What one sized workload gets on a model. */
export interface WorkloadSize {
  /** Memory limit in MiB; the request is half of it. */
  readonly limitMiB: number;
  readonly requestMiB: number;
  readonly replicas: number;
}

/**
 * The share of a device that one sized workload may take: a sixteenth of the RAM in steps of 32 MiB, from 64 to 512 MiB,
 * because the cluster and its pull engine already hold over 1 GiB. A second replica only from 8 GiB on: on one node it
 * guards against a crash of the process, not of the machine.
 */
export function workloadSize(memoryMiB: number): WorkloadSize {
  const share = Math.floor(memoryMiB / 16 / MEMORY_STEP_MIB) * MEMORY_STEP_MIB;
  const limitMiB = Math.min(Math.max(share, 2 * MEMORY_STEP_MIB), 512);
  return { limitMiB, requestMiB: limitMiB / 2, replicas: memoryMiB >= 8192 ? 2 : 1 };
}

/**
 * `components/model/<m>/kustomization.yaml`: architecture for all workloads, size for those that ask for it, and the
 * RuntimeClass for those that name a WASM runtime.
 */
export function renderModelComponent(name: string, model: TreeModel, runtimes: ModelRuntimes): string {
  const wasm = runtimes.some.map((runtime) => ({
    target: { group: "apps", kind: "Deployment", labelSelector: `${WASM_LABEL}=${runtime}` },
    patch: podPatch({ runtimeClassName: runtime }),
  }));
  return formatYaml(
    [
      ...emittedHeader(`the model's architecture, memory and wasm in models.yaml`, `components/model/${name}/team/`),
      `A Deployment labelled \`${SIZE_LABEL}: model\` gets its replicas and the memory of its first container from here;`,
      "that container must set resources.requests and resources.limits.",
      ...runtimes.some.map(
        (runtime) => `A Deployment labelled \`${WASM_LABEL}: ${runtime}\` runs with the RuntimeClass ${runtime}.`,
      ),
    ],
    {
      ...COMPONENT,
      ...(runtimes.all.length === 0 ? {} : { components: runtimes.all.map((runtime) => `../../wasm/${runtime}`) }),
      labels: [label(MODEL_LABEL, name)],
      patches: [
        {
          target: { group: "apps", kind: "Deployment|StatefulSet|DaemonSet" },
          patch: podPatch({ nodeSelector: { "kubernetes.io/arch": model.architecture } }),
        },
        {
          target: { group: "apps", kind: "Deployment", labelSelector: `${SIZE_LABEL}=model` },
          patch: sizePatch(workloadSize(model.memoryMiB)),
        },
        ...wasm,
      ],
    },
  );
}

/** A label on every object and on the pods of those that run some, never in a selector. */
function label(key: string, value: string): object {
  return { pairs: { [key]: value }, fields: TEMPLATES.map((template) => ({ ...template, create: true })) };
}

function podPatch(spec: Readonly<Record<string, unknown>>): string {
  return stringify({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "any" },
    spec: { template: { spec } },
  });
}

function sizePatch({ limitMiB, requestMiB, replicas }: WorkloadSize): string {
  return stringify([
    { op: "add", path: "/spec/replicas", value: replicas },
    { op: "add", path: "/spec/template/spec/containers/0/resources/requests/memory", value: `${requestMiB}Mi` },
    { op: "add", path: "/spec/template/spec/containers/0/resources/limits/memory", value: `${limitMiB}Mi` },
  ]);
}

/** `components/region/<r>/kustomization.yaml`: the facts of the region for the workloads, and its label. */
export function renderRegionComponent(fleet: string, region: string, facts: RegionFacts): string {
  const mirrors = facts.registryMirrors;
  const entries: [key: string, value: string | undefined][] = [
    ["fleet", fleet],
    ["region", region],
    ["time-zone", facts.timeZone],
    ["ntp-servers", facts.ntpServers?.join(" ")],
    ["network-shape", facts.networkShape],
    ["registry-mirrors", mirrors === undefined ? undefined : JSON.stringify(mirrors)],
  ];
  const literals = entries.flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${value}`]));
  return formatYaml(
    [
      ...emittedHeader("the inventory", `components/region/${region}/team/`),
      "Workloads read the facts of their region from the ConfigMap edge-fleet-region.",
    ],
    {
      ...COMPONENT,
      labels: [label(REGION_LABEL, region)],
      configMapGenerator: [{ name: "edge-fleet-region", literals, options: { disableNameSuffixHash: true } }],
    },
  );
}

/**
 * `overlays/<r>/<m>/kustomization.yaml`. Later Components patch later: the team's have the last word.
 * @param runtimes WASM runtimes that all devices of the leaf have and the model as a whole has not
 */
export function renderOverlay(region: string, model: string, runtimes: readonly WasmRuntime[]): string {
  const own = [`../../../components/region/${region}`, `../../../components/model/${model}`];
  const wasm = runtimes.map((runtime) => `../../../components/wasm/${runtime}`);
  return formatYaml(
    emittedHeader("the inventory", `base/, components/region/${region}/team/ or components/model/${model}/team/`),
    {
      ...KUSTOMIZATION,
      namespace: WORKLOAD_NAMESPACE,
      resources: ["../../../base"],
      components: [...wasm, ...own, ...own.map((component) => `${component}/team`)],
    },
  );
}

/**
 * `<path>/overlays/<r>/<m>/kustomization.yaml` of a workload of the type `overlays`: its base, what edge-fleet knows of region
 * and model, and then the team's Components of both.
 */
export function renderWorkloadOverlay(
  workload: Pick<TreeWorkload, "path" | "namespace">,
  region: string,
  model: string,
): string {
  const { path, namespace } = workload;
  const up = "../".repeat(path.split("/").length + 3);
  const own = [`region/${region}`, `model/${model}`];
  return formatYaml(
    emittedHeader("the inventory", `${path}/base/, ${own.map((folder) => `${path}/${folder}/`).join(" or ")}`),
    {
      ...KUSTOMIZATION,
      namespace,
      resources: ["../../../base"],
      components: [...own.map((folder) => `${up}components/${folder}`), ...own.map((folder) => `../../../${folder}`)],
    },
  );
}

/** `rendered/<r>/<m>/kustomization.yaml`: lets a device with values annotate the rendered manifests beside it. */
export function renderRenderedLeaf(source: string): string {
  return formatYaml(emittedHeader("the inventory", `${source}/ or what it includes`), {
    ...KUSTOMIZATION,
    resources: [MANIFESTS_FILE],
  });
}

/** The scaffolded Component of the team beside an emitted one. Its empty list keeps kustomize from calling it empty. */
export function renderTeamComponent(what: string): string {
  return formatYaml(
    [
      "Written once by edge-fleet and yours from now on: never overwritten, never deleted.",
      `Resources and patches for the devices of ${what}. They are applied after edge-fleet's own.`,
    ],
    { ...COMPONENT, patches: [] },
  );
}

/**
 * The comment on top of an emitted file.
 * @param source where its facts come from
 * @param mine where the team writes instead
 * @param command what writes the file. Default `edge-fleet render`
 */
export function emittedHeader(source: string, mine: string, command = "edge-fleet render"): string[] {
  return [
    "Emitted by edge-fleet from the inventory: a copy changed by hand is refused, not overwritten.",
    `Change ${source} and run \`${command}\`.`,
    `Your own resources and patches go to ${mine}.`,
  ];
}
