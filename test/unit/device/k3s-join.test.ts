import assert from "node:assert/strict";
import { test } from "node:test";
import type { Profile } from "../../../components/inventory/types.ts";
import type { RenderContext } from "../../../components/plan/distributions/distribution-plan.ts";
import { describeFinding } from "../../../components/plan/distributions/finding.ts";
import { renderDistribution } from "../../../components/plan/distributions/index.ts";
import { checkJoin } from "../../../components/plan/distributions/k3s/join.ts";
import { placeholderSecrets, secretKeys } from "../../../components/plan/distributions/secrets.ts";
import { fileOf, flagsOf, hasFile, PATHS, yamlOf } from "./plan-files.ts";
import { buildProfile } from "./profile.ts";

const PASSWORD = "0123456789abcdef0123456789abcdef";
const FULL = `K10${"a".repeat(64)}::node:${PASSWORD}`;
const { k3s, network } = buildProfile();
const lan: Partial<Profile> = {
  k3s: { ...k3s, flannelBackend: "vxlan" },
  network: { ...network, shape: "lan", nodeIp: "192.168.1.5" },
};
const server = buildProfile({ ...lan, id: "tokyo-0001", host: "tokyo-0001.example.com" });
const agent = buildProfile({ ...lan, id: "tokyo-0002", host: "tokyo-0002.example.com", joins: "tokyo-0001" });
const secrets = { "token-tokyo-0001": FULL };
const agentPlan = () => renderDistribution(agent, { server, secrets });
const serverPlan = () => renderDistribution(server, { joined: true, secrets });

test("an agent dials its server by name, with the token from a file", () => {
  const config = yamlOf(agentPlan(), PATHS.config);
  assert.equal(config.server, "https://tokyo-0001.example.com:6443");
  assert.equal(config["token-file"], PATHS.token);
  assert.equal(config["node-name"], "tokyo-0002");
  assert.equal(config["node-ip"], "192.168.1.5");
  assert.deepEqual(fileOf(agentPlan(), PATHS.token), {
    path: PATHS.token,
    mode: "0600",
    content: `${FULL}\n`,
    live: false,
    secret: true,
  });
});

test("a server's IPv6 address is put in brackets", () => {
  const plan = renderDistribution(agent, { server: { host: "2001:db8::1" }, secrets });
  assert.equal(yamlOf(plan, PATHS.config).server, "https://[2001:db8::1]:6443");
});

test("an agent's configuration has no flag that only a server knows", () => {
  const agentFlags = ["flannel-iface", "node-ip", "node-name", "protect-kernel-defaults", "resolv-conf"];
  const known = [...agentFlags, "server", "token-file"];
  assert.deepEqual(
    Object.keys(yamlOf(agentPlan(), PATHS.config)).filter((key) => !known.includes(key)),
    [],
  );
  for (const path of [PATHS.admission, "/etc/rancher/k3s/audit.yaml", PATHS.runtimes]) {
    assert.equal(hasFile(agentPlan(), path), false, path);
  }
});

test("an agent has its own unit, which cannot run beside a server's", () => {
  const plan = agentPlan();
  assert.equal(plan.service, "k3s-agent");
  assert.equal(plan.unit, "/etc/systemd/system/k3s-agent.service");
  const unit = fileOf(plan, plan.unit).content;
  assert.match(unit, /^ExecStart=\/usr\/local\/bin\/k3s agent$/m);
  assert.match(unit, /^Conflicts=k3s\.service$/m);
  assert.match(unit, /^Type=exec$/m);
  assert.match(fileOf(serverPlan(), serverPlan().unit).content, /^Conflicts=k3s-agent\.service$/m);
});

test("an agent asks for its own node with the kubelet's identity and sets only labels that this one may", () => {
  const labels = { "node-role.kubernetes.io/edge": "true", site: "shibuya" };
  const plan = renderDistribution({ ...agent, labels }, { server, secrets });
  assert.match(plan.kubectl, / --kubeconfig \/var\/lib\/rancher\/k3s\/agent\/kubelet\.kubeconfig /);
  assert.deepEqual(plan.deployments, []);
  assert.ok(plan.labels.includes("site=shibuya"));
  assert.equal(plan.labels.join().includes("node-role"), false);
});

test("an agent keeps less memory back than a server", () => {
  const reserved = (plan: ReturnType<typeof agentPlan>) => yamlOf(plan, PATHS.kubelet).kubeReserved;
  assert.deepEqual(reserved(agentPlan()), { cpu: "200m", memory: "300Mi" });
  assert.deepEqual(reserved(serverPlan()), { cpu: "200m", memory: "600Mi" });
});

test("a server that others join takes the token's password, and its certificate names the host that they dial", () => {
  const config = yamlOf(serverPlan(), PATHS.config);
  assert.equal(config["agent-token-file"], PATHS.agentToken);
  assert.deepEqual(config["tls-san"], ["tokyo-0001.example.com"]);
  const { content, mode, secret } = fileOf(serverPlan(), PATHS.agentToken);
  assert.deepEqual({ content, mode, secret }, { content: `${PASSWORD}\n`, mode: "0600", secret: true });
});

test("a server that nobody joins needs no token", () => {
  const plan = renderDistribution(server);
  assert.equal(hasFile(plan, PATHS.agentToken), false);
  assert.equal("agent-token-file" in yamlOf(plan, PATHS.config), false);
});

test("the token is in no file but its own, and in no label or warning", () => {
  for (const { files, ...rest } of [agentPlan(), serverPlan()]) {
    assert.equal(files.filter(({ secret }) => secret === true).length, 1);
    const texts = [...files.filter(({ secret }) => secret !== true), rest].map((value) => JSON.stringify(value));
    for (const text of texts) assert.equal(text.includes(PASSWORD), false);
  }
});

test("a token without the server's CA works, but says what it trusts", () => {
  const plan = renderDistribution(agent, { server, secrets: { "token-tokyo-0001": PASSWORD } });
  assert.equal(fileOf(plan, PATHS.token).content, `${PASSWORD}\n`);
  assert.deepEqual(plan.warnings, [
    "joins: the token of tokyo-0001 does not name the server's CA, so the first connection trusts whoever answers - once tokyo-0001 runs, set the secret to the line of its /var/lib/rancher/k3s/server/agent-token",
  ]);
  assert.deepEqual(agentPlan().warnings, []);
});

test("a missing or unusable token is named by its key, never by its value", () => {
  assert.throws(() => renderDistribution(agent, { server }), {
    message:
      "device tokyo-0002: the stack has no secret token-tokyo-0001, with which agents join tokyo-0001 - run openssl rand -hex 32 | pulumi config set --secret edge-fleet:token-tokyo-0001",
  });
  for (const token of ["short", "with blanks in it, and long", `K10${"a".repeat(64)}::node:short`]) {
    assert.throws(
      () => renderDistribution(agent, { server, secrets: { "token-tokyo-0001": token } }),
      (error: Error) =>
        /the secret token-tokyo-0001 is no token - use /.test(error.message) && !error.message.includes(token),
    );
  }
});

test("the secrets to look up are those of the registries and of the joined server", () => {
  const registries = { "docker.io": { endpoints: ["https://m"], username: "u", passwordSecret: "mirror" } };
  assert.deepEqual(secretKeys({ ...agent, registries }, false), ["mirror", "token-tokyo-0001"]);
  assert.deepEqual(secretKeys({ ...server, registries }, true), ["mirror", "token-tokyo-0001"]);
  assert.deepEqual(secretKeys(server, false), []);
  const plan = renderDistribution(agent, { server, secrets: placeholderSecrets(agent, false) });
  assert.equal(fileOf(plan, PATHS.token).content, "secret-of-edge-fleet.token-tokyo-0001\n");
});

test("pods leave a silent node late, by how the machines reach each other", () => {
  const seconds = (changes: Partial<Profile>) =>
    flagsOf(renderDistribution({ ...server, ...changes }), "kube-apiserver-arg").filter((flag) =>
      flag.startsWith("default-"),
    );
  const both = (value: number) =>
    ["not-ready", "unreachable"].map((why) => `default-${why}-toleration-seconds=${value}`);
  assert.deepEqual(seconds({ network }), []);
  assert.deepEqual(seconds({}), both(900));
  const sites = {
    network: { ...network, shape: "multi-site" },
    k3s: { ...k3s, flannelBackend: "wireguard-native" },
  } as const;
  assert.deepEqual(seconds(sites), both(86_400));
});

const MISMATCHES: readonly { name: string; agent?: Partial<Profile>; server: RenderContext["server"]; text: RegExp }[] =
  [
    { name: "a server that is not there", server: undefined, text: /^joins: tokyo-0001 is not known here - use / },
    { name: "itself", server: { ...server, id: "tokyo-0002" }, text: /^joins: is the device itself - remove / },
    {
      name: "an agent",
      server: { ...server, joins: "tokyo-0009" },
      text: /^joins: tokyo-0001 is an agent itself - use the id of its server, tokyo-0009$/,
    },
    {
      name: "a server of another region",
      server: { ...server, region: "osaka" },
      text: /^joins: tokyo-0001 is of region osaka - use a device of tokyo$/,
    },
    {
      name: "a server of another distribution",
      server: { ...server, distribution: "k0s" },
      text: /^distribution: is k3s, but tokyo-0001 runs k0s - /,
    },
    {
      name: "anyone with the shape of one machine",
      agent: { network },
      server,
      text: /^network\.shape: is single, but /,
    },
    {
      name: "a server of another shape",
      server: { ...server, network },
      text: /^network\.shape: is lan, but tokyo-0001 has single - use one shape for both$/,
    },
    {
      name: "a server with another backend",
      server: { ...server, k3s },
      text: /^k3s\.flannelBackend: is vxlan, but tokyo-0001 has host-gw - set it once, in the region$/,
    },
    {
      name: "an older server",
      server: { ...server, k3s: { ...server.k3s, version: "v1.35.6+k3s1" } },
      text: /^k3s\.version: v1\.36\.2\+k3s1 is newer than the v1\.35\.6\+k3s1 of tokyo-0001, .* - upgrade tokyo-0001 first$/,
    },
  ];

for (const { name, agent: changes = {}, server: other, text } of MISMATCHES) {
  test(`joining ${name} is refused, with the fix`, () => {
    const [finding, ...more] = checkJoin({ ...agent, ...changes }, other);
    assert.match(finding === undefined ? "" : describeFinding(finding), text);
    assert.equal(finding?.severity, "error");
    assert.deepEqual(more, []);
  });
}

test("a device that others join cannot be of the shape of one machine", () => {
  assert.throws(
    () => renderDistribution(buildProfile(), { joined: true, secrets }),
    /^Error: device edge-0001: network\.shape: is single, but other devices join this one - use lan or multi-site /,
  );
});
