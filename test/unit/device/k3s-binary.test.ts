/**
 * The reader of K3s itself judges config.yaml where a real k3s is on PATH; elsewhere k3s-readers.test.ts stands in for it
 * with a list of its keys. Set K3S to the path of a binary that is not on PATH.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { globSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Profile } from "../../../components/inventory/types.ts";
import type { RenderContext } from "../../../components/plan/distributions/distribution-plan.ts";
import { renderDistribution } from "../../../components/plan/distributions/index.ts";
import { processFolder } from "../../temporary.ts";
import { buildProfile, MODELS } from "./profile.ts";

const FOLDER = processFolder("k3s");

const { k3s, network } = buildProfile();
const LAN = { k3s: { ...k3s, flannelBackend: "vxlan" }, network: { ...network, shape: "lan" } } as const;
const SECRETS = { "token-edge-0001": "0123456789abcdef" };

/**
 * The inner binary, which alone reads the file before it prints its help; the outer one unpacks it at any command
 * (cmd/k3s/main.go of K3s). Undefined where there is no k3s, or a script that stands for it.
 */
function innerBinary(): string | undefined {
  const outer = process.env.K3S ?? "k3s";
  const { stdout } = spawnSync(outer, ["--version"], { encoding: "utf8" });
  if (!/^k3s version v1\./.test(stdout ?? "")) return undefined;
  spawnSync(outer, ["check-config", `--data-dir=${FOLDER}`], { stdio: "ignore" });
  return globSync([`${FOLDER}/data/*/bin/k3s`, "/var/lib/rancher/k3s/data/current/bin/k3s"])[0];
}

const BINARY = innerBinary();
const SKIP = BINARY === undefined ? "no k3s is installed here" : false;

/** What K3s says against a configuration: a server skips a key that it does not know with a warning, an agent ends. */
function refusal(role: string, text: string): string {
  const path = join(FOLDER, "config.yaml");
  writeFileSync(path, text);
  const { stderr, status } = spawnSync(BINARY ?? "", [role, `--config=${path}`, "--help"], { encoding: "utf8" });
  return status === 0 && !/unknown flag|not defined/i.test(stderr) ? "" : `${status}: ${stderr}`;
}

const DEVICES: readonly { name: string; role: string; changes: Partial<Profile>; context?: RenderContext }[] = [
  ...Object.entries(MODELS).map(([name, changes]) => ({ name, role: "server", changes })),
  { name: "baseline", role: "server", changes: { security: "baseline" } },
  { name: "a server of a LAN", role: "server", changes: LAN, context: { joined: true, secrets: SECRETS } },
  {
    name: "an agent",
    role: "agent",
    changes: { ...LAN, id: "edge-0002", joins: "edge-0001" },
    context: { server: { host: "edge-0001.example.com" }, secrets: SECRETS },
  },
];

for (const { name, role, changes, context } of DEVICES) {
  test(`K3s reads every key of its files: ${name}`, { skip: SKIP }, () => {
    const { files } = renderDistribution(buildProfile(changes), context);
    const read = files.filter(({ path }) => /^\/etc\/rancher\/k3s\/config\.yaml(\.d\/|$)/.test(path));
    assert.equal(read.length, 2);
    for (const { path, content } of read) assert.equal(refusal(role, content), "", path);
    assert.notEqual(refusal(role, "no-such-key: true\n"), "", "an unknown key goes unnoticed: this judge is none");
  });
}
