import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { z } from "zod";
import type { Profile } from "../../../components/inventory/types.ts";
import { renderDistribution } from "../../../components/plan/distributions/index.ts";
import { checkK0s } from "../../../components/plan/distributions/k0s/checks.ts";
import { assertGolden } from "../../golden.ts";
import { describeFiles, fileOf, hasFile, yamlOf } from "./plan-files.ts";
import { buildProfile, MODELS } from "./profile.ts";

const CONFIG = "/etc/k0s/k0s.yaml";
const UNIT = "/etc/systemd/system/k0scontroller.service";
const { k0s, network } = buildProfile();

function k0sProfile(changes: Partial<Profile> = {}): Profile {
  return buildProfile({ distribution: "k0s", k0s: { ...k0s, version: "v1.36.3+k0s.2" }, ...changes });
}

const plan = (changes: Partial<Profile> = {}) => renderDistribution(k0sProfile(changes));

const DEVICES: Readonly<Record<string, Partial<Profile>>> = {
  ...MODELS,
  baseline: { security: "baseline", network: { ...network, dummyRoute: false } },
  "airgap-wasm": {
    wasm: ["spin", "wasmtime"],
    artifacts: { delivery: "push", mirror: undefined, maxKiBPerSecond: undefined, images: true },
    registries: {
      "*": { endpoints: ["http://10.20.0.2:5000"] },
      "docker.io": { endpoints: ["https://mirror.example.com"] },
    },
    network: { ...network, nodeIp: "10.20.0.5", resolvConf: "/etc/edge-resolv.conf" },
  },
};

for (const [name, changes] of Object.entries(DEVICES)) {
  test(`the files of K0s on ${name} are as reviewed`, () => {
    assertGolden(`k0s/${name}.txt`, describeFiles(plan(changes)));
  });
}

/**
 * The fields that are used, of K0s' own types, which it decodes strictly:
 * https://github.com/k0sproject/k0s/tree/main/pkg/apis/k0s/v1beta1
 */
const ClusterConfigSchema = z.strictObject({
  apiVersion: z.literal("k0s.k0sproject.io/v1beta1"),
  kind: z.literal("ClusterConfig"),
  metadata: z.strictObject({ name: z.literal("k0s") }),
  spec: z.strictObject({
    api: z.strictObject({
      address: z.ipv4().optional(),
      sans: z.array(z.string()).optional(),
      extraArgs: z.record(z.string(), z.string()),
    }),
    controllerManager: z.strictObject({ extraArgs: z.record(z.string(), z.string()) }),
    storage: z.strictObject({ type: z.enum(["etcd", "kine"]) }),
    network: z.strictObject({
      provider: z.enum(["kuberouter", "calico", "custom"]),
      podCIDR: z.cidrv4(),
      serviceCIDR: z.cidrv4(),
    }),
    telemetry: z.strictObject({ enabled: z.boolean() }),
    images: z.strictObject({ default_pull_policy: z.enum(["Always", "IfNotPresent", "Never"]) }),
    workerProfiles: z.array(
      z.strictObject({
        name: z.literal("default"),
        values: z.looseObject({
          clusterDNS: z.undefined().optional(),
          clusterDomain: z.undefined().optional(),
          apiVersion: z.undefined().optional(),
          kind: z.undefined().optional(),
          staticPodURL: z.undefined().optional(),
        }),
      }),
    ),
  }),
});

for (const [name, changes] of Object.entries(DEVICES)) {
  test(`every field of k0s.yaml on ${name} is one of K0s' own, and none is locked`, () => {
    assert.deepEqual(ClusterConfigSchema.safeParse(yamlOf(plan(changes), CONFIG)).error?.issues, undefined);
  });
}

test("the datastore is kine's SQLite with K0s' tuned data source, and nothing is told to upstream", () => {
  const text = fileOf(plan(), CONFIG).content;
  assert.match(text, /storage:\n {4}type: kine\n {2}network:/);
  assert.match(text, /telemetry:\n {4}enabled: false\n/);
  assert.doesNotMatch(text, /dataSource/);
});

test("every file that the API server names is planned before the configuration, or made on the device", () => {
  const { files } = plan();
  const named = [...fileOf(plan(), CONFIG).content.matchAll(/: (\/etc\/k0s\/[a-z]+\.yaml)$/gm)].map(([, path]) => path);
  const paths = files.map(({ path }) => path);
  assert.deepEqual(named, ["/etc/k0s/psa.yaml", "/etc/k0s/audit.yaml", "/etc/k0s/encryption.yaml"]);
  for (const path of named.slice(0, 2))
    assert.ok(paths.indexOf(path ?? "") >= 0 && paths.indexOf(path ?? "") < paths.indexOf(CONFIG), path);
});

test("policies can be read by the user of the API server, the configuration by root alone", () => {
  const modes = Object.fromEntries(plan().files.map(({ path, mode }) => [path, mode]));
  assert.deepEqual([modes["/etc/k0s/psa.yaml"], modes["/etc/k0s/audit.yaml"], modes[CONFIG]], ["0644", "0644", "0600"]);
});

test("baseline leaves out kernel and admission settings, and keeps audit and encryption", () => {
  const baseline = plan({ security: "baseline" });
  assert.deepEqual(
    ["/etc/k0s/psa.yaml", "/etc/sysctl.d/90-edge-fleet.conf", "/etc/k0s/audit.yaml"].map((path) =>
      hasFile(baseline, path),
    ),
    [false, false, true],
  );
  const text = fileOf(baseline, CONFIG).content;
  assert.doesNotMatch(text, /admission|protectKernelDefaults/);
  assert.match(text, /encryption-provider-config/);
});

test("the unit is the one of a single node: restarts leave containers alone and are never given up", () => {
  const { content } = fileOf(plan(), UNIT);
  for (const line of ["KillMode=process", "Delegate=yes", "Restart=always", "TimeoutStartSec=0"])
    assert.match(content, new RegExp(`^${line}$`, "m"));
  assert.match(
    content,
    /^ExecStart=\/usr\/local\/bin\/k0s controller --single --config=\/etc\/k0s\/k0s\.yaml --disable-components=metrics-server,autopilot,helm --labels=\$\{NODE_LABELS\} --kubelet-extra-args=--hostname-override=edge-0001$/m,
  );
});

test("several arguments of the kubelet are one quoted word, and nothing disabled is no flag", () => {
  const { content } = fileOf(
    plan({ network: { ...network, nodeIp: "10.20.0.5" }, k0s: { ...k0s, version: "v1.36.3+k0s.2", disable: [] } }),
    UNIT,
  );
  assert.match(content, / "--kubelet-extra-args=--hostname-override=edge-0001 --node-ip=10\.20\.0\.5"$/m);
  assert.doesNotMatch(content, /disable-components/);
});

test("labels change without a restart, and those that a kubelet may not set are left to the reconciliation", () => {
  const labelled = plan({
    labels: { "node-role.kubernetes.io/edge": "true", "example.com/rack": "7" },
    wasm: ["spin"],
  });
  const file = fileOf(labelled, "/etc/k0s/labels.env");
  assert.ok(file.live);
  assert.equal(
    file.content,
    "NODE_LABELS=edge-fleet.dev/model=nuc-4g,edge-fleet.dev/region=tokyo,edge-fleet.dev/ring=canary,edge-fleet.dev/wasm-spin=true,example.com/rack=7\n",
  );
  assert.ok(labelled.labels.includes("node-role.kubernetes.io/edge=true"));
});

test("images come from the archive alone where one is delivered", () => {
  assert.match(fileOf(plan(DEVICES["airgap-wasm"]), CONFIG).content, /default_pull_policy: Never\n/);
  assert.match(fileOf(plan(), CONFIG).content, /default_pull_policy: IfNotPresent\n/);
});

test("CoreDNS is waited for unless it is disabled", () => {
  assert.deepEqual(plan().deployments, ["coredns"]);
  assert.deepEqual(plan({ k0s: { ...k0s, version: "v1.36.3+k0s.2", disable: ["coredns"] } }).deployments, []);
});

const at = (changes: Partial<Profile["k0s"]>) => ({ k0s: { ...k0s, version: "v1.36.3+k0s.2", ...changes } });

const REFUSED: readonly [what: string, changes: Partial<Profile>, says: RegExp][] = [
  [
    "an old release",
    at({ version: "v1.33.9+k0s.0" }),
    /k0s\.version: v1\.33\.9\+k0s\.0 .* - use v1\.34\.0\+k0s\.0 or later$/,
  ],
  [
    "a join",
    { joins: "edge-0002" },
    /joins: edge-0002 is refused: K0s with --single never joins .* - use distribution: k3s/,
  ],
  ["too little memory", { memoryMiB: 512 }, /memory: 512 MiB .* for K0s - use a model with at least 1Gi$/],
  [
    "an interface",
    { network: { ...network, interface: "eth0" } },
    /network\.interface: .* - set network\.nodeIp instead$/,
  ],
  [
    "a password of a mirror without its user",
    { registries: { "docker.io": { endpoints: ["https://m"], passwordSecret: "p" } } },
    /registries\.docker\.io\.username: is missing beside passwordSecret - set both or neither$/,
  ],
  [
    "networks that overlap",
    at({ serviceCidr: "10.244.128.0/17" }),
    /k0s\.serviceCidr: .* overlaps k0s\.podCidr .* - use two/,
  ],
  ["a pod network below a /24", at({ podCidr: "10.244.0.0/25" }), /k0s\.podCidr: .* - use a \/24 or larger$/],
  [
    "too large a service network",
    at({ serviceCidr: "16.0.0.0/8" }),
    /k0s\.serviceCidr: .* - use e\.g\. 10\.96\.0\.0\/12$/,
  ],
  ["host bits", at({ podCidr: "10.244.3.7/16" }), /k0s\.podCidr: .* has host bits set - write 10\.244\.0\.0\/16$/],
  [
    "its own address in a network",
    { network: { ...network, nodeIp: "10.244.0.9" } },
    /network\.nodeIp: .* inside k0s\.podCidr/,
  ],
  ["its host in a network", { host: "10.96.0.1" }, /host: 10\.96\.0\.1 lies inside k0s\.serviceCidr/],
  [
    "an IPv6 address",
    { network: { ...network, nodeIp: "fd00::1" } },
    /network\.nodeIp: .* - use the node's IPv4 address$/,
  ],
];

for (const [what, changes, says] of REFUSED) {
  test(`${what} is refused with device, setting and fix`, () => {
    assert.throws(
      () => plan(changes),
      (reason: Error) => {
        assert.match(reason.message, /^device edge-0001: /);
        assert.match(reason.message.replace("device edge-0001: ", ""), says);
        return true;
      },
    );
  });
}

test("two networks are accepted exactly when they are aligned, separate and of a fitting size", () => {
  const octet = fc.integer({ min: 0, max: 255 });
  const cidr = fc.tuple(fc.constantFrom(10, 172), octet, octet, octet, fc.integer({ min: 8, max: 30 }));
  const bits = ([a, b, c, d]: readonly number[]) =>
    [a, b, c, d].reduce<bigint>((sum, part) => sum * 256n + BigInt(part ?? 0), 0n);
  const range = (parts: readonly number[]) => {
    const size = 1n << BigInt(32 - (parts[4] ?? 0));
    const first = (bits(parts) / size) * size;
    return { first, last: first + size - 1n, aligned: first === bits(parts) };
  };
  const text = (parts: readonly number[]) => `${parts.slice(0, 4).join(".")}/${parts[4]}`;
  fc.assert(
    fc.property(cidr, cidr, fc.boolean(), (one, other, align) => {
      const snap = (parts: readonly number[]) => {
        if (!align) return parts;
        const { first } = range(parts);
        return [...[24n, 16n, 8n, 0n].map((shift) => Number((first >> shift) & 255n)), parts[4] ?? 0];
      };
      const [pods, services] = [snap(one), snap(other)];
      const [p, s] = [range(pods), range(services)];
      const expected =
        p.aligned &&
        s.aligned &&
        (p.last < s.first || s.last < p.first) &&
        (pods[4] ?? 0) <= 24 &&
        (services[4] ?? 0) >= 12 &&
        (services[4] ?? 0) <= 28;
      const findings = checkK0s(k0sProfile(at({ podCidr: text(pods), serviceCidr: text(services) })));
      assert.equal(findings.length === 0, expected, JSON.stringify([text(pods), text(services), findings]));
    }),
  );
});
