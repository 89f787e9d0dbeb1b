import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import type { Profile } from "../../../components/inventory/types.ts";
import type { RenderContext } from "../../../components/plan/distributions/distribution-plan.ts";
import { renderDistribution } from "../../../components/plan/distributions/index.ts";
import { assertGolden } from "../../golden.ts";
import { describeFiles, fileOf, flagsOf, hasFile, PATHS, writeFiles, yamlOf } from "./plan-files.ts";
import { buildProfile, gitopsOf, MODELS } from "./profile.ts";

const { k3s, network } = buildProfile();

/** Devices whose files are reviewed as a whole: each model, and what differs from it. */
const GOLDEN: readonly { name: string; changes: Partial<Profile>; context?: RenderContext }[] = [
  ...Object.entries(MODELS).map(([name, changes]) => ({ name, changes })),
  { name: "baseline", changes: { security: "baseline", network: { ...network, dummyRoute: false } } },
  {
    name: "site-server",
    changes: {
      wasm: ["spin", "wasmtime"],
      k3s: { ...k3s, flannelBackend: "wireguard-native" },
      network: {
        shape: "multi-site",
        nodeIp: "192.168.1.5",
        interface: "eth0",
        resolvConf: "/etc/edge-resolv.conf",
        dummyRoute: true,
      },
      registries: {
        "docker.io": { endpoints: ["https://mirror.example.com"], username: "edge", passwordSecret: "mirror" },
      },
    },
    context: { joined: true, secrets: { mirror: "password-of-mirror", "token-edge-0001": "0123456789abcdef" } },
  },
  {
    name: "site-agent",
    changes: {
      id: "edge-0002",
      joins: "edge-0001",
      memoryMiB: 512,
      k3s: { ...k3s, flannelBackend: "wireguard-native" },
      network: { ...network, shape: "multi-site", nodeIp: "192.168.2.5" },
    },
    context: { server: { host: "edge-0001.example.com" }, secrets: { "token-edge-0001": "0123456789abcdef" } },
  },
];

for (const { name, changes, context } of GOLDEN) {
  test(`the files of ${name} are as reviewed`, () => {
    assertGolden(`k3s/${name}.txt`, describeFiles(renderDistribution(buildProfile(changes), context)));
  });

  test(`systemd accepts the units of ${name}`, () => {
    const { files } = renderDistribution(buildProfile(changes), context);
    const units = files
      .filter(({ path }) => path.startsWith("/etc/systemd/system/"))
      .map((file) => ({ ...file, content: file.content.replaceAll("/usr/local/bin/k3s", "/bin/true") }));
    const { error, stderr, status } = spawnSync("systemd-analyze", ["verify", "--man=no", ...writeFiles(units)], {
      encoding: "utf8",
    });
    assert.equal(error, undefined, "systemd-analyze is not on PATH - install systemd");
    assert.equal(stderr, "");
    assert.equal(status, 0);
  });
}

test("too little memory and too old a release are refused with device, setting and fix", () => {
  assert.throws(
    () => renderDistribution(buildProfile({ memoryMiB: 512 })),
    /^Error: device edge-0001: memory: 512 MiB .* - use a model with at least 1Gi$/,
  );
  assert.throws(
    () => renderDistribution(buildProfile({ k3s: { ...k3s, version: "v1.32.9+k3s1" } })),
    /^Error: device edge-0001: k3s\.version: v1\.32\.9\+k3s1 .* - use v1\.33\.0\+k3s1 or later$/,
  );
});

test("a server below upstream's minimum is rendered, but not without a word", () => {
  assert.deepEqual(renderDistribution(buildProfile({ memoryMiB: 1024 })).warnings, [
    "memory: 1024 MiB is less than the 2 GiB that K3s asks for a server - let the device join a larger one as an agent, or expect evictions",
  ]);
  assert.deepEqual(renderDistribution(buildProfile({ memoryMiB: 2048 })).warnings, []);
});

/** Flags of `k3s server` that may stand in its configuration: https://docs.k3s.io/cli/server */
const SERVER_FLAGS = [
  "agent-token-file",
  "cluster-cidr",
  "disable",
  "flannel-backend",
  "flannel-iface",
  "kube-apiserver-arg",
  "kube-controller-manager-arg",
  "node-ip",
  "node-name",
  "protect-kernel-defaults",
  "resolv-conf",
  "secrets-encryption",
  "secrets-encryption-provider",
  "service-cidr",
  "tls-san",
  "write-kubeconfig-mode",
];

for (const { name, changes, context } of GOLDEN) {
  if (changes.joins !== undefined) continue;
  test(`the configuration of ${name} has only flags that K3s knows, and no datastore`, () => {
    const config = yamlOf(renderDistribution(buildProfile(changes), context), PATHS.config);
    assert.deepEqual(
      Object.keys(config).filter((key) => !SERVER_FLAGS.includes(key)),
      [],
    );
  });
}

test("the node is called by the device's id", () => {
  assert.equal(yamlOf(renderDistribution(buildProfile()), PATHS.config)["node-name"], "edge-0001");
});

test("address, interface and resolv.conf are written only where they are set", () => {
  const places = (profile: Profile) => {
    const config = yamlOf(renderDistribution(profile), PATHS.config);
    return ["node-ip", "flannel-iface", "resolv-conf"].map((key) => config[key]);
  };
  assert.deepEqual(places(buildProfile()), [undefined, undefined, undefined]);
  const set = { nodeIp: "192.168.1.5", interface: "eth1", resolvConf: "/etc/edge-resolv.conf" };
  const profile = buildProfile({ network: { ...network, ...set } });
  assert.deepEqual(places(profile), ["192.168.1.5", "eth1", "/etc/edge-resolv.conf"]);
});

test("with a CNI of the image flannel is off, and K3s' own network policies with it", () => {
  const own = buildProfile({ k3s: { ...k3s, flannelBackend: "none", ownCni: true } });
  const policies = (profile: Profile) => {
    const config = yamlOf(renderDistribution(profile), PATHS.config);
    return [config["flannel-backend"], config["disable-network-policy"]];
  };
  assert.deepEqual(policies(own), ["none", true]);
  assert.deepEqual(policies(buildProfile()), ["host-gw", undefined]);
});

test("every policy file that the server names is one of the files, and is put before the server's configuration", () => {
  const plan = renderDistribution(buildProfile());
  const paths = plan.files.map((file) => file.path);
  const named = flagsOf(plan, "kube-apiserver-arg").flatMap(
    (argument) => /^(?:admission-control-config|audit-policy)-file=(.*)$/.exec(argument)?.slice(1) ?? [],
  );
  assert.equal(named.length, 2);
  for (const path of named) {
    assert.ok(paths.indexOf(path) >= 0 && paths.indexOf(path) < paths.indexOf(PATHS.config), path);
  }
});

test("baseline leaves out the kernel's and the admission settings, and nothing else", () => {
  const plan = (security: Profile["security"]) => renderDistribution(buildProfile({ security }));
  const paths = (security: Profile["security"]) => plan(security).files.map(({ path }) => path);
  assert.deepEqual(
    paths("cis").filter((path) => !paths("baseline").includes(path)),
    [PATHS.admission, PATHS.sysctl],
  );
  const keys = (security: Profile["security"]) => Object.keys(yamlOf(plan(security), PATHS.config));
  assert.deepEqual(
    keys("cis").filter((key) => !keys("baseline").includes(key)),
    ["protect-kernel-defaults"],
  );
  const flags = (security: Profile["security"]) => flagsOf(plan(security), "kube-apiserver-arg");
  assert.deepEqual(
    flags("cis").filter((flag) => !flags("baseline").includes(flag)),
    ["enable-admission-plugins=NodeRestriction,EventRateLimit", `admission-control-config-file=${PATHS.admission}`],
  );
});

test("only files without settings of the cluster can be read by others", () => {
  const open = renderDistribution(buildProfile()).files.filter((file) => file.mode !== "0600");
  assert.deepEqual(
    open.map((file) => `${file.mode} ${file.path}`),
    [
      `0644 ${PATHS.sysctl}`,
      `0644 ${PATHS.modules}`,
      `0644 ${PATHS.journal}`,
      `0644 ${PATHS.route}`,
      "0644 /etc/systemd/system/k3s.service",
    ],
  );
});

test("the folders of settings and of the audit log are closed before the first start", () => {
  const plan = renderDistribution(buildProfile());
  const unit = fileOf(plan, plan.unit).content;
  const folders = "/etc/rancher/k3s /var/lib/rancher/k3s/server /var/lib/rancher/k3s/server/logs";
  const steps = [`/bin/mkdir -p -m 0700 ${folders}`, `/bin/chmod 0700 ${folders}`, "/usr/local/bin/k3s server"];
  const found = steps.map((step) => unit.indexOf(`=${step}\n`));
  assert.ok(
    found.every((position, index) => position > (found[index - 1] ?? 0)),
    found.join(),
  );
});

test("the journal is bounded", () => {
  assert.equal(
    fileOf(renderDistribution(buildProfile()), PATHS.journal).content,
    "[Journal]\nSystemMaxUse=50M\nRuntimeMaxUse=50M\n",
  );
});

test("the audit log takes at most 48 MB of flash", () => {
  const flag = (name: string) =>
    Number(
      flagsOf(renderDistribution(buildProfile()), "kube-apiserver-arg")
        .find((argument) => argument.startsWith(`${name}=`))
        ?.split("=")[1],
    );
  assert.ok(flag("audit-log-maxsize") * (flag("audit-log-maxbackup") + 1) <= 48);
});

test("labels that a kubelet may not set on itself are left to the reconciliation", () => {
  const labels = { "node-role.kubernetes.io/edge": "true", "node.kubernetes.io/site": "a", "example.com/rack": "7" };
  const plan = renderDistribution(buildProfile({ labels }));
  const own = yamlOf(plan, PATHS.labels)["node-label"] as string[];
  assert.deepEqual(
    plan.labels.filter((label) => !own.includes(label)),
    ["node-role.kubernetes.io/edge=true"],
  );
});

test("region, model, ring and runtimes of the inventory win over labels of the same name", () => {
  const labels = { "edge-fleet.dev/ring": "forged", "edge-fleet.dev/wasm-spin": "forged" };
  assert.deepEqual(renderDistribution(buildProfile({ labels, wasm: ["spin"] })).labels, [
    "edge-fleet.dev/model=nuc-4g",
    "edge-fleet.dev/region=tokyo",
    "edge-fleet.dev/ring=canary",
    "edge-fleet.dev/wasm-spin=true",
  ]);
});

test("CoreDNS is waited for unless it is disabled", () => {
  assert.deepEqual(renderDistribution(buildProfile()).deployments, ["coredns"]);
  assert.deepEqual(renderDistribution(buildProfile({ k3s: { ...k3s, disable: ["coredns"] } })).deployments, []);
});

test("only kube-system is exempt from the restricted level", () => {
  for (const engine of ["argocd", "argocd-agent", "flux", "none"] as const) {
    const plan = renderDistribution(buildProfile({ gitops: gitopsOf(engine) }));
    const text = JSON.stringify(yamlOf(plan, PATHS.admission));
    assert.match(text, /"enforce":"restricted"/);
    assert.match(text, /"namespaces":\["kube-system"\]/);
  }
});

test("a device without several machines has no file with a secret", () => {
  const plan = renderDistribution(buildProfile());
  assert.equal(hasFile(plan, PATHS.token) || hasFile(plan, PATHS.agentToken), false);
  assert.equal(
    plan.files.some(({ secret }) => secret),
    false,
  );
});
