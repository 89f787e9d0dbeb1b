import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parse } from "yaml";
import { renderDistribution } from "../../../components/device/distributions/index.ts";
import { kubeletReservations, MINIMUM_MEMORY_MIB } from "../../../components/device/distributions/reservations.ts";
import type { Profile } from "../../../components/inventory/types.ts";
import { buildProfile } from "./profile.ts";

function settings(profile: Profile, path: string): Record<string, unknown> {
  const file = renderDistribution(profile).files.find((candidate) => candidate.path === path);
  assert.ok(file, `${path} is part of the plan`);
  return parse(file.content) as Record<string, unknown>;
}

const CONFIG = "/etc/rancher/k3s/config.yaml";
const LABELS = "/etc/rancher/k3s/config.yaml.d/10-labels.yaml";
const KUBELET = "/var/lib/rancher/k3s/agent/etc/kubelet.conf.d/50-edge-fleet.conf";

test("reservations and eviction leave at least four tenths of the memory to pods, from 1 to 8 GiB", () => {
  fc.assert(
    fc.property(fc.integer({ min: MINIMUM_MEMORY_MIB, max: 8192 }), (memoryMiB) => {
      const { systemMiB, kubernetesMiB, evictionMiB } = kubeletReservations(memoryMiB);
      const kept = systemMiB + kubernetesMiB + evictionMiB;
      assert.ok(Math.min(systemMiB, kubernetesMiB, evictionMiB) > 0);
      assert.ok(kept <= memoryMiB * 0.6, `${kept} of ${memoryMiB} MiB`);
    }),
  );
});

test("more memory never means smaller reservations", () => {
  const memory = fc.integer({ min: MINIMUM_MEMORY_MIB, max: 8192 });
  fc.assert(
    fc.property(memory, memory, (one, other) => {
      const [small, large] = [kubeletReservations(Math.min(one, other)), kubeletReservations(Math.max(one, other))];
      for (const name of ["systemMiB", "kubernetesMiB", "evictionMiB"] as const) assert.ok(small[name] <= large[name]);
    }),
  );
});

test("too little memory and too old a release are refused with device, setting and mend", () => {
  assert.throws(
    () => renderDistribution(buildProfile({ memoryMiB: 512 })),
    /^Error: device edge-0001: model nuc-4g: 512 MiB .* - use a model with at least 1Gi$/,
  );
  const { k3s } = buildProfile();
  assert.throws(
    () => renderDistribution(buildProfile({ k3s: { ...k3s, version: "v1.32.9+k3s1" } })),
    /^Error: device edge-0001: k3s\.version v1\.32\.9\+k3s1 .* - use v1\.33\.0\+k3s1 or later$/,
  );
});

test("the server is hardened and keeps the embedded datastore with its tuned defaults", () => {
  const config = settings(buildProfile(), CONFIG);
  assert.equal(config["node-name"], "edge-0001");
  assert.equal(config["secrets-encryption-provider"], "secretbox");
  for (const name of ["secrets-encryption", "protect-kernel-defaults"]) assert.equal(config[name], true, name);
  assert.equal(config["write-kubeconfig-mode"], "0600");
  assert.equal("datastore-endpoint" in config, false);
});

test("every policy file that the server names is one of the files, and is put before the server's configuration", () => {
  const { files } = renderDistribution(buildProfile());
  const paths = files.map((file) => file.path);
  const named = (settings(buildProfile(), CONFIG)["kube-apiserver-arg"] as string[]).flatMap(
    (argument) => /^(?:admission-control-config|audit-policy)-file=(.*)$/.exec(argument)?.slice(1) ?? [],
  );
  assert.equal(named.length, 2);
  for (const path of named) assert.ok(paths.indexOf(path) >= 0 && paths.indexOf(path) < paths.indexOf(CONFIG), path);
});

test("no file but the unit and the kernel's settings can be read by others", () => {
  const open = renderDistribution(buildProfile()).files.filter((file) => file.mode !== "0600");
  assert.deepEqual(
    open.map((file) => `${file.mode} ${file.path}`),
    ["0644 /etc/sysctl.d/90-edge-fleet.conf", "0644 /etc/systemd/system/k3s.service"],
  );
});

test("labels that a kubelet may not set on itself are left to the reconciliation", () => {
  const labels = { "node-role.kubernetes.io/edge": "true", "node.kubernetes.io/site": "a", "example.com/rack": "7" };
  const profile = buildProfile({ labels });
  const own = settings(profile, LABELS)["node-label"] as string[];
  const all = renderDistribution(profile).labels;
  assert.deepEqual(
    all.filter((label) => !own.includes(label)),
    ["node-role.kubernetes.io/edge=true"],
  );
});

test("region, model and ring of the inventory win over labels of the same name", () => {
  const { labels } = renderDistribution(buildProfile({ labels: { "edge-fleet.dev/ring": "forged" } }));
  assert.deepEqual(labels, [
    "edge-fleet.dev/model=nuc-4g",
    "edge-fleet.dev/region=tokyo",
    "edge-fleet.dev/ring=canary",
  ]);
});

test("the kubelet drop-in repeats the disk thresholds, because it replaces the whole map", () => {
  const eviction = settings(buildProfile({ memoryMiB: 2048 }), KUBELET).evictionHard;
  assert.deepEqual(eviction, { "memory.available": "120Mi", "nodefs.available": "5%", "imagefs.available": "5%" });
});

test("CoreDNS is waited for unless it is disabled", () => {
  const { k3s } = buildProfile();
  assert.deepEqual(renderDistribution(buildProfile()).deployments, ["coredns"]);
  assert.deepEqual(renderDistribution(buildProfile({ k3s: { ...k3s, disable: ["coredns"] } })).deployments, []);
});

test("only the pull engine's namespace and kube-system are exempt from the restricted level", () => {
  for (const [engine, namespace] of [
    ["argocd-agent", "argocd"],
    ["flux", "flux-system"],
  ] as const) {
    const text = JSON.stringify(settings(buildProfile({ gitops: { engine } }), "/etc/rancher/k3s/psa.yaml"));
    assert.match(text, /"enforce":"restricted"/);
    assert.match(text, new RegExp(`"namespaces":\\["kube-system","${namespace}"\\]`));
  }
});
