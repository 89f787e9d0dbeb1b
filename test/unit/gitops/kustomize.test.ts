/** Real kustomize builds every leaf; the checks read what a device would get. */
import assert from "node:assert/strict";
import { appendFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parse, parseAllDocuments } from "yaml";
import { workloadSize } from "../../../components/gitops/kustomize.ts";
import { listLeaves, renderTree } from "../../../components/gitops/tree.ts";
import type { TreeInput } from "../../../components/gitops/tree-input.ts";
import { planTree, writeTree } from "../../../components/gitops/writer.ts";
import { EXAMPLE, FULL_EXAMPLE, inFolder, TREACHEROUS_NAMES } from "./fleet.ts";
import { runTool } from "./tools.ts";

/** The fields that the checks look at. */
interface Built {
  readonly kind: string;
  readonly metadata: {
    name: string;
    namespace?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
  };
  readonly data?: Record<string, string>;
  readonly spec?: {
    replicas?: number;
    selector?: Record<string, string> & { matchLabels?: Record<string, string> };
    template?: {
      metadata: { labels: Record<string, string>; annotations?: Record<string, string> };
      spec: PodSpec;
    };
  };
}
interface PodSpec {
  runtimeClassName?: string;
  nodeSelector: Record<string, string>;
  automountServiceAccountToken: boolean;
  securityContext: { runAsNonRoot: boolean; seccompProfile: { type: string } };
  containers: {
    image: string;
    resources: { requests: { memory: string; cpu: string }; limits: { memory: string } };
    securityContext: { allowPrivilegeEscalation: boolean; readOnlyRootFilesystem: boolean; capabilities: unknown };
    livenessProbe?: unknown;
    readinessProbe?: unknown;
  }[];
}

function write(directory: string, fleet: TreeInput): void {
  writeTree(directory, planTree(directory, renderTree(fleet)));
}

function build(directory: string, region: string, model: string): Built[] {
  return read(runTool("kustomize", ["build", join(directory, "overlays", region, model)]));
}

function read(output: string): Built[] {
  return parseAllDocuments(output).map((document) => document.toJS() as Built);
}

function find(objects: readonly Built[], kind: string, name: string): Built {
  const found = objects.find((object) => object.kind === kind && object.metadata.name === name);
  assert.ok(found, `no ${kind} ${name}`);
  return found;
}

test("kustomize builds every leaf with its architecture, size, labels and region facts", () => {
  inFolder((directory) => {
    write(directory, EXAMPLE);
    for (const { region, model } of listLeaves(EXAMPLE.devices)) {
      const objects = build(directory, region, model);
      const { spec } = find(objects, "Deployment", "web");
      const facts = EXAMPLE.models[model];
      assert.ok(facts && spec?.template);
      const size = workloadSize(facts.memoryMiB);
      assert.equal(spec.replicas, size.replicas);
      assert.equal(spec.template.spec.nodeSelector["kubernetes.io/arch"], facts.architecture);
      assert.equal(spec.template.spec.containers[0]?.resources.limits.memory, `${size.limitMiB}Mi`);
      assert.equal(spec.template.spec.containers[0]?.resources.requests.memory, `${size.requestMiB}Mi`);
      assert.equal(spec.template.spec.containers[0]?.resources.requests.cpu, "10m");
      assert.deepEqual(find(objects, "ConfigMap", "edge-fleet-region").data, { fleet: "acme", region });
      for (const { kind, metadata } of objects) {
        assert.equal(metadata.labels?.["edge-fleet.dev/region"], region);
        assert.equal(metadata.labels?.["edge-fleet.dev/model"], model);
        assert.equal(metadata.namespace, kind === "Namespace" ? undefined : "edge-apps");
      }
    }
  });
});

test("the scaffolded workload is hardened, pinned and reachable only where it is allowed", () => {
  inFolder((directory) => {
    write(directory, EXAMPLE);
    const objects = build(directory, "tokyo", "rpi4-4g");
    assert.deepEqual(objects.map(({ kind, metadata }) => `${kind}/${metadata.name}`).sort(), [
      "ConfigMap/edge-fleet-region",
      "Deployment/web",
      "Namespace/edge-apps",
      "NetworkPolicy/allow-web",
      "NetworkPolicy/default-deny",
      "Service/web",
    ]);
    const namespace = find(objects, "Namespace", "edge-apps");
    assert.equal(namespace.metadata.labels?.["pod-security.kubernetes.io/enforce"], "restricted");
    const { selector, template } = find(objects, "Deployment", "web").spec ?? {};
    const pod = template?.spec;
    const container = pod?.containers[0];
    assert.ok(pod && container);
    assert.match(container.image, /^[a-z0-9./-]+:[a-z0-9.]+@sha256:[0-9a-f]{64}$/);
    assert.equal(pod.automountServiceAccountToken, false);
    assert.equal(pod.securityContext.runAsNonRoot, true);
    assert.equal(pod.securityContext.seccompProfile.type, "RuntimeDefault");
    assert.equal(container.securityContext.allowPrivilegeEscalation, false);
    assert.equal(container.securityContext.readOnlyRootFilesystem, true);
    assert.deepEqual(container.securityContext.capabilities, { drop: ["ALL"] });
    assert.ok(container.livenessProbe && container.readinessProbe);
    const labels = Object.entries(template.metadata.labels);
    for (const wanted of [selector?.matchLabels, find(objects, "Service", "web").spec?.selector])
      for (const [key, value] of Object.entries(wanted ?? {}))
        assert.ok(
          labels.some(([k, v]) => k === key && v === value),
          `no pod has ${key}=${String(value)}`,
        );
  });
});

test("the Spin sample reaches only models and leaves whose devices all have Spin, with their size and RuntimeClass", () => {
  inFolder((directory) => {
    write(directory, FULL_EXAMPLE);
    const isSample = ({ kind, metadata }: Built) => kind === "Deployment" && metadata.name === "spin-hello";
    const samples = new Map(
      listLeaves(FULL_EXAMPLE.devices).map(({ region, model }) => {
        const sample = build(directory, region, model).find(isSample);
        return [`${region}/${model}`, sample?.spec?.template?.spec];
      }),
    );
    assert.deepEqual(
      [...samples].flatMap(([leaf, spec]) => (spec === undefined ? [] : [leaf])),
      ["osaka/n100-8g", "osaka/rpi4-4g", "tokyo/n100-8g"],
      "tokyo/rpi4-4g has devices without Spin, so neither the model nor that leaf may deploy it",
    );
    for (const [leaf, spec] of samples) {
      if (spec === undefined) continue;
      assert.equal(spec.runtimeClassName, "spin");
      assert.equal(spec.securityContext.runAsNonRoot, true);
      assert.match(spec.containers[0]?.image ?? "", /:v\d+\.\d+\.\d+$/);
      const limit = leaf.endsWith("n100-8g") ? "512Mi" : "256Mi";
      assert.equal(spec.containers[0]?.resources.limits.memory, limit);
    }
  });
});

test("a Deployment that names a WASM runtime gets its RuntimeClass on models that have it", () => {
  inFolder((directory) => {
    write(directory, FULL_EXAMPLE);
    const own = {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "own", labels: { "edge-fleet.dev/wasm": "wasmtime" } },
      spec: { template: { spec: { containers: [{ name: "own", image: "own:v1.0.0" }] } } },
    };
    writeFileSync(join(directory, "base/own.yaml"), JSON.stringify(own));
    appendFileSync(join(directory, "base/kustomization.yaml"), "  - own.yaml\n");
    const classOn = (model: string) =>
      find(build(directory, "osaka", model), "Deployment", "own").spec?.template?.spec.runtimeClassName;
    assert.equal(classOn("n100-8g"), "wasmtime");
    assert.equal(classOn("rpi4-4g"), undefined);
  });
});

test("region facts are in a ConfigMap that workloads read, whatever characters they have", () => {
  inFolder((directory) => {
    write(directory, FULL_EXAMPLE);
    const objects = build(directory, "tokyo", "rpi4-4g");
    assert.deepEqual(find(objects, "ConfigMap", "edge-fleet-region").data, {
      fleet: "acme",
      region: "tokyo",
      "time-zone": "Asia/Tokyo",
      "ntp-servers": "ntp1.example.com ntp2.example.com",
      "network-shape": "lan",
      "registry-mirrors": '{"*":["https://mirror.example.com"],"docker.io":["https://a.example.com:5000/v2"]}',
    });
    const container = find(objects, "Deployment", "web").spec?.template?.spec.containers[0];
    const env = (container as { env?: { name: string; valueFrom: { configMapKeyRef?: object } }[] } | undefined)?.env;
    assert.deepEqual(env?.find(({ name }) => name === "TZ")?.valueFrom.configMapKeyRef, {
      name: "edge-fleet-region",
      key: "time-zone",
      optional: true,
    });
  });
});

test("names that YAML takes for booleans or numbers reach the device as they are", () => {
  inFolder((directory) => {
    const devices = TREACHEROUS_NAMES.map((name) => ({
      id: `device-${name}`,
      region: name,
      model: name,
      ring: "canary",
      engine: "argocd-agent" as const,
    }));
    const models = Object.fromEntries(
      TREACHEROUS_NAMES.map((name) => [name, { architecture: "arm64" as const, memoryMiB: 4096 }]),
    );
    write(directory, { ...EXAMPLE, devices, models });
    for (const name of TREACHEROUS_NAMES) {
      const objects = build(directory, name, name);
      assert.equal(find(objects, "ConfigMap", "edge-fleet-region").data?.region, name);
      assert.equal(find(objects, "Deployment", "web").metadata.labels?.["edge-fleet.dev/model"], name);
    }
  });
});

test("the team's patch in a model's own Component wins over edge-fleet's, and survives the next render", () => {
  inFolder((directory) => {
    write(directory, EXAMPLE);
    writeFileSync(
      join(directory, "components/model/rpi4-4g/team/kustomization.yaml"),
      `apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
patches:
  - target: {kind: Deployment, name: web}
    patch: |-
      - {op: replace, path: /spec/template/spec/containers/0/resources/limits/memory, value: 300Mi}
`,
    );
    write(directory, { ...EXAMPLE, devices: EXAMPLE.devices.slice(0, -1) });
    const limitOn = (model: string) =>
      find(build(directory, "tokyo", model), "Deployment", "web").spec?.template?.spec.containers[0]?.resources.limits;
    assert.deepEqual(limitOn("rpi4-4g"), { memory: "300Mi" });
    assert.deepEqual(limitOn("rpi4-2g"), { memory: "128Mi" });
  });
});

test("a workload without the size label keeps its own memory and replicas, and a base without `web` still builds", () => {
  inFolder((directory) => {
    write(directory, EXAMPLE);
    const deployment = runTool("kustomize", ["build", join(directory, "base")])
      .split("---\n")
      .find((text) => text.includes("kind: Deployment"));
    assert.ok(deployment);
    const own = parse(deployment) as Built;
    own.metadata.name = "own";
    own.metadata.labels = {};
    writeFileSync(join(directory, "base/own.yaml"), JSON.stringify(own));
    for (const name of ["deployment", "service", "allow-web"]) rmSync(join(directory, `base/${name}.yaml`));
    writeFileSync(
      join(directory, "base/kustomization.yaml"),
      "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [namespace.yaml, default-deny.yaml]\n",
    );
    appendFileSync(join(directory, "base/kustomization.yaml"), "components: []\n");
    write(directory, EXAMPLE);
    assert.deepEqual(
      build(directory, "tokyo", "n100-8g")
        .map(({ kind }) => kind)
        .sort(),
      ["ConfigMap", "Namespace", "NetworkPolicy"],
    );
    writeFileSync(
      join(directory, "base/kustomization.yaml"),
      "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [namespace.yaml, own.yaml]\n",
    );
    const { spec } = find(build(directory, "tokyo", "n100-8g"), "Deployment", "own");
    assert.equal(spec?.replicas, 1);
    assert.equal(spec?.template?.spec.containers[0]?.resources.limits.memory, "64Mi");
    assert.equal(spec?.template?.spec.nodeSelector["kubernetes.io/arch"], "amd64");
  });
});
