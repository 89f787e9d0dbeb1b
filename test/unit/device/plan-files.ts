/** Reading what a distribution's plan puts on a device. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parse } from "yaml";
import type { DeviceFile, DistributionPlan } from "../../../components/plan/distributions/distribution-plan.ts";
import { processFolder } from "../../temporary.ts";

/** Paths of K3s' files that tests look into. */
export const PATHS = {
  config: "/etc/rancher/k3s/config.yaml",
  labels: "/etc/rancher/k3s/config.yaml.d/10-labels.yaml",
  registries: "/etc/rancher/k3s/registries.yaml",
  admission: "/etc/rancher/k3s/psa.yaml",
  token: "/etc/rancher/k3s/token",
  agentToken: "/etc/rancher/k3s/agent-token",
  kubelet: "/var/lib/rancher/k3s/agent/etc/kubelet.conf.d/50-edge-fleet.conf",
  runtimes: "/var/lib/rancher/k3s/server/manifests/edge-fleet-runtimes.yaml",
  sysctl: "/etc/sysctl.d/90-edge-fleet.conf",
  modules: "/etc/modules-load.d/90-edge-fleet.conf",
  journal: "/etc/systemd/journald.conf.d/90-edge-fleet.conf",
  route: "/etc/systemd/system/edge-fleet-route.service",
} as const;

/** The file of a plan. @throws AssertionError where the plan has none */
export function fileOf(plan: DistributionPlan, path: string): DeviceFile {
  const file = plan.files.find((candidate) => candidate.path === path);
  assert.ok(file, `${path} is part of the plan`);
  return file;
}

/** Whether the plan has the file. */
export function hasFile(plan: DistributionPlan, path: string): boolean {
  return plan.files.some((candidate) => candidate.path === path);
}

/** A YAML file of a plan, parsed. */
export function yamlOf(plan: DistributionPlan, path: string): Record<string, unknown> {
  return parse(fileOf(plan, path).content) as Record<string, unknown>;
}

/** A list of flags in a YAML file of a plan. */
export function flagsOf(plan: DistributionPlan, key: string): string[] {
  return (yamlOf(plan, PATHS.config)[key] ?? []) as string[];
}

/** Every file of a plan as one text, for golden files. */
export function describeFiles(plan: DistributionPlan): string {
  return plan.files
    .map(({ path, mode, live, secret = false, content }) => {
      const flags = [mode, ...(live ? ["live"] : []), ...(secret ? ["secret"] : [])];
      return `==> ${path} (${flags.join(", ")})\n${content}`;
    })
    .join("\n");
}

/** Writes the files of a plan below a new folder and returns the paths there. */
export function writeFiles(files: readonly DeviceFile[]): string[] {
  const root = processFolder("plan");
  return files.map(({ path, content }) => {
    const target = join(root, path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, content);
    return target;
  });
}
