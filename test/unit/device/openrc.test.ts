/** What devices with OpenRC get in place of systemd's units. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import fc from "fast-check";
import type { Profile } from "../../../components/inventory/types.ts";
import type { DistributionPlan, RenderContext } from "../../../components/plan/distributions/distribution-plan.ts";
import { renderDistribution } from "../../../components/plan/distributions/index.ts";
import { routeUnit } from "../../../components/plan/distributions/network.ts";
import { openrcScript } from "../../../components/plan/distributions/openrc.ts";
import { payloadText, renderPayload } from "../../../components/plan/payload.ts";
import { assertGolden } from "../../golden.ts";
import { describeFiles, fileOf, hasFile, PATHS } from "./plan-files.ts";
import { buildProfile, LOCK } from "./profile.ts";

const { k3s, k0s, microk8s, network } = buildProfile();
const OPENRC = { init: "openrc" } as const;
const K0S = { distribution: "k0s", k0s: { ...k0s, version: "v1.36.3+k0s.2" } } as const;
const AGENT = {
  id: "edge-0002",
  joins: "edge-0001",
  memoryMiB: 512,
  k3s: { ...k3s, flannelBackend: "vxlan" },
  network: { ...network, shape: "lan", nodeIp: "192.168.2.5" },
} as const;
const JOINING: RenderContext = {
  server: { host: "edge-0001.example.com" },
  secrets: { "token-edge-0001": "0123456789abcdef" },
};

const DEVICES: readonly { name: string; changes: Partial<Profile>; context?: RenderContext; script: string }[] = [
  { name: "k3s/openrc-server", changes: {}, script: "/etc/init.d/k3s" },
  { name: "k3s/openrc-agent", changes: AGENT, context: JOINING, script: "/etc/init.d/k3s-agent" },
  {
    name: "k0s/openrc",
    changes: { ...K0S, network: { ...network, nodeIp: "192.168.2.5", resolvConf: "/etc/edge-resolv.conf" } },
    script: "/etc/init.d/k0scontroller",
  },
];

const planOf = (changes: Partial<Profile>, context?: RenderContext): DistributionPlan =>
  renderDistribution(buildProfile({ ...OPENRC, ...changes }), context);

for (const { name, changes, context, script } of DEVICES) {
  test(`the files of ${name} are as reviewed`, () => {
    assertGolden(`${name}.txt`, describeFiles(planOf(changes, context)));
  });

  test(`${name} has one script, executable, that ShellCheck, dash and busybox accept`, () => {
    const plan = planOf(changes, context);
    const { mode, live, content } = fileOf(plan, script);
    assert.deepEqual([plan.unit, mode, live], [script, "0755", false]);
    for (const [command = "", ...rest] of [
      ["shellcheck", "-"],
      ["dash", "-n"],
      ["busybox", "ash", "-n"],
    ]) {
      const { status, stdout, stderr } = spawnSync(command, rest, { input: content, encoding: "utf8" });
      assert.equal(status, 0, `${command}: ${stdout}${stderr}`);
    }
  });

  test(`${name} has the files of a device with systemd but for systemd's own, and they are the same`, () => {
    const strip = (plan: DistributionPlan) =>
      plan.files.filter(({ path }) => !/^\/etc\/(systemd|init\.d)\//.test(path));
    const systemd = renderDistribution(buildProfile(changes), context);
    assert.deepEqual(strip(planOf(changes, context)), strip(systemd));
    assert.equal(
      planOf(changes, context).files.some(({ path }) => path.startsWith("/etc/systemd/")),
      false,
    );
    assert.equal(systemd.unit, `/etc/systemd/system/${systemd.service}.service`);
  });
}

test("a network that does not come up does not keep the cluster from starting", () => {
  for (const { changes, context, script } of DEVICES) {
    const [, depend = ""] = /^depend\(\) \{\n(.*?)^\}/ms.exec(fileOf(planOf(changes, context), script).content) ?? [];
    assert.match(depend, /^ {2}use (.* )?net$/m);
    assert.doesNotMatch(depend, /^ {2}need .*\bnet\b/m);
  }
});

test("the last-resort route is set by the commands of systemd's unit, and only where it is asked for", () => {
  const script = (dummyRoute: boolean) =>
    fileOf(planOf({ network: { ...network, dummyRoute } }), "/etc/init.d/k3s").content;
  const commands = [...routeUnit("k3s.service").matchAll(/^ExecStart=\/bin\/sh -c '(.*)'$/gm)].map(([, text]) => text);
  assert.equal(commands.length, 4);
  assert.ok(script(true).includes(commands.map((command) => `  ${command}\n`).join("")));
  assert.doesNotMatch(script(false), /dummy/);
});

test("without kernel settings none are asked for at boot", () => {
  const plan = planOf({ security: "baseline" });
  assert.equal(hasFile(plan, PATHS.sysctl), false);
  assert.match(
    fileOf(plan, "/etc/init.d/k3s").content,
    /\[ ! -f \/etc\/sysctl\.d\/90-edge-fleet\.conf \] \|\| sysctl /,
  );
});

test("MicroK8s is refused with the reason, and the other distributions are not", () => {
  const changes = { distribution: "microk8s", microk8s: { ...microk8s, version: "v1.36.2" } } as const;
  assert.throws(
    () => planOf(changes),
    /^Error: device edge-0001: init: openrc is refused: MicroK8s is a snap, and snapd needs systemd - use distribution: k3s or k0s$/,
  );
  renderDistribution(buildProfile(changes));
});

test("the payload names the init only where it is not systemd, so that other devices' payloads stay as they are", () => {
  const named = (changes: Partial<Profile>) =>
    /^set INIT (.*)$/m.exec(payloadText(renderPayload(buildProfile(changes), LOCK)));
  assert.equal(named({}), null);
  assert.equal(named(OPENRC)?.[1], "openrc");
});

test("arguments reach the daemon as they are, through the assignment and OpenRC's eval", () => {
  const word = fc
    .array(fc.constantFrom(..."az09 '\"$`\\*?;&|<>(){}~#=,./:@-"), { minLength: 1, maxLength: 12 })
    .map((characters) => characters.join(""))
    .filter((text) => !text.includes("  "));
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 5 }), (words) => {
      const service = { name: "k3s", description: "test", command: "/bin/true", modules: [], route: false };
      const { content } = openrcScript({ ...service, arguments: words, respawnSeconds: 1, openFiles: 1 });
      const script = `${content}\neval set -- $command_args\nprintf '%s\\n' "$@"`;
      const { stdout, stderr } = spawnSync("dash", ["-f", "-c", script], { encoding: "utf8" });
      assert.deepEqual([stdout, stderr], [`${words.join("\n")}\n`, ""]);
    }),
    { numRuns: 50 },
  );
});
