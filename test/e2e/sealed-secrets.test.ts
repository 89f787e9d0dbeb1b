/**
 * Secrets from a person's hands to a workload's, with nothing between them that could read along: the real `pulumi` keeps the
 * key that `edge-fleet seal` makes, the real Sealed Secrets controller runs in the pod that a device's payload describes,
 * with its user, read-only root, rights and network policies, and opens what was sealed without a network. Each part
 * continues where the one before it ended.
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type RunResult, runProgram } from "../../cli/process.ts";
import { loadInventory, resolveProfile } from "../../components/inventory/index.ts";
import { renderPayload } from "../../components/plan/payload.ts";
import { sealingSecretKeys } from "../../components/plan/sealing.ts";
import { startDevices } from "../lab/devices/lab.ts";
import { ask, enterLab, until } from "../lab/scenario.ts";
import { BINARIES_PATH, deviceBinaries, IMAGES, IMAGES_PATH, POD_PARTS } from "../lab/standins/images.ts";
import { k3sApiStandin } from "../lab/standins/index.ts";
import { sealedSecretDefinition } from "../lab/toolchain/index.ts";
import { LOCK } from "../unit/device/profile.ts";

const toolchain = await enterLab(["pulumi", ...POD_PARTS, "sealed-secrets-controller"]);

const ID = "tokyo-0001";
const MAIN = join(import.meta.dirname, "../../cli/main.ts");
const MANIFESTS = "/var/lib/rancher/k3s/server/manifests";
const directory = mkdtempSync("/run/edge-fleet-sealed-");
mkdirSync(join(directory, "devices"));
const devices = await startDevices({
  directory: join(directory, "devices"),
  devices: [{ id: ID, architecture: "amd64", linked: true }],
  binds: { [BINARIES_PATH]: await deviceBinaries(toolchain) },
  files: [
    { path: "/usr/local/bin/k3s", content: k3sApiStandin("v1.36.2+k3s1"), mode: 0o755 },
    { path: IMAGES_PATH, content: JSON.stringify(IMAGES) },
    { path: "/etc/rancher/k3s/config.yaml", content: `node-name: ${ID}\nnode-label: [edge-fleet.dev/engine=argocd]\n` },
    { path: "/etc/systemd/system/k3s.service", content: "[Service]\nExecStart=/usr/local/bin/k3s server\n" },
  ],
});
test.after(() => devices.stop());

const sh = (command: string) => ask(devices, ID, command);
const kubectl = (words: string) => sh(`k3s kubectl ${words}`);
/** What a field is; empty where the object is not there. */
const look = async (words: string) => (await devices.exec(ID, `k3s kubectl ${words}`)).stdout.trim();

const stacks = join(directory, "stacks");
const environment = {
  ...toolchain.env,
  PULUMI_BACKEND_URL: `file://${directory}/state`,
  PULUMI_CONFIG_PASSPHRASE: "passphrase of the test",
  PULUMI_HOME: join(directory, "pulumi"),
};
const run = async (command: string, args: readonly string[], stdin = ""): Promise<RunResult> => {
  const result = await runProgram(command, args, {
    cwd: directory,
    environment,
    stdin,
    timeoutMs: 120_000,
    maxOutputBytes: 4_000_000,
  });
  assert.equal(result.exitCode, 0, `${command} ${args.join(" ")}: ${result.stderr}`);
  return result;
};
const edgeFleet = (args: readonly string[], stdin = "") =>
  run(process.execPath, [MAIN, args[0] ?? "", "--inventory", stacks, ...args.slice(1)], stdin);

function writeFleet(): void {
  for (const folder of [stacks, join(directory, "state")]) mkdirSync(folder, { recursive: true });
  const files = {
    "fleet.yaml": `fleet: acme
git: { url: "https://git.example.com/fleet.git" }
rings: [canary]
ring: canary
k3s: { version: v1.36.2+k3s1 }
gitops: { secrets: sealed-secrets }
hub: none
`,
    "models.yaml": "nuc: { architecture: amd64, memory: 4Gi }\n",
    "tokyo.yaml": `region: tokyo\ndevices: [{ id: ${ID}, host: 10.0.0.1, model: nuc }]\n`,
    "osaka.yaml": "region: osaka\ndevices: [{ id: osaka-0001, host: 10.0.0.2, model: nuc }]\n",
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(stacks, name), text);
  writeFileSync(join(directory, "Pulumi.yaml"), "name: edge-fleet\nruntime: nodejs\nstackConfigDir: stacks\n");
}

/** The secret manifest and the others that a device's payload has for Sealed Secrets. */
async function manifests(): Promise<{ keys: string; controller: string }> {
  const profile = resolveProfile(loadInventory(stacks), ID);
  const secrets: Record<string, string> = {};
  for (const key of sealingSecretKeys(profile))
    secrets[key] = (await run("pulumi", ["config", "get", `edge-fleet:${key}`, "--stack", "tokyo"])).stdout;
  const { secretFiles, artifacts } = renderPayload(profile, LOCK, { secrets });
  const controller = artifacts.find(({ name }) => name.startsWith("sealed-secrets "))?.content ?? "";
  return { keys: secretFiles.replace(/^file .*\n/, ""), controller };
}

const put = (name: string, content: string) =>
  writeFileSync(join(devices.devices[0]?.root ?? "", MANIFESTS, name), content, { mode: 0o600 });
const apply = async (text: string) => {
  writeFileSync(join(devices.devices[0]?.root ?? "", "root/object.yaml"), text);
  await kubectl("apply --server-side -f /root/object.yaml");
};

const secretOf = (name: string, value: string) =>
  JSON.stringify({ apiVersion: "v1", kind: "Secret", metadata: { name }, type: "Opaque", stringData: { value } });
const opened = async (name: string, namespace = "edge-apps") =>
  Buffer.from(await look(`-n ${namespace} get secret ${name} -o jsonpath={.data.value}`), "base64").toString();
const condition = (name: string, namespace = "edge-apps") =>
  look(
    `-n ${namespace} get sealedsecret ${name} -o 'jsonpath={.status.conditions[0].status} {.status.conditions[0].message}'`,
  );
const podsReady = () =>
  look(
    "-n sealed-secrets get deployment sealed-secrets-controller -o jsonpath={.status.updatedReplicas}/{.status.readyReplicas}",
  );
const keysOnDevice = async () =>
  (await look("-n sealed-secrets get secrets -o name")).split("\n").filter(Boolean).length;
/** How many keys the controllers' pods hold, the pods that are on their way out included. */
const keysOfPods = async () =>
  (
    await look("-n sealed-secrets get pods -o 'jsonpath={.items[*].spec.volumes[*].projected.sources[*].secret.name}'")
  ).split(" ").length;
const seal = async (name: string, value: string, ...options: string[]) =>
  (await edgeFleet(["seal", "tokyo", ...options], secretOf(name, value))).stdout;

test("Secrets that lie sealed in Git", async (t) => {
  await t.test("the key goes into the stack as a secret, and nowhere else", async () => {
    writeFleet();
    for (const stack of ["tokyo", "osaka"]) {
      await run("pulumi", ["stack", "init", stack]);
      const { stdout, stderr } = await edgeFleet(["seal", stack, "--new-key"]);
      assert.match(stdout, new RegExp(`edge-fleet:sealingKey-[0-9a-f]{12} of stack ${stack}\n`));
      assert.ok(!`${stdout}${stderr}`.includes("PRIVATE KEY"));
    }
    const found = await runProgram("grep", ["-rl", "PRIVATE KEY", directory, "--exclude-dir=devices"]);
    assert.deepEqual([found.exitCode, found.stdout], [1, ""], "no file has it in the clear");
    const { keys } = await manifests();
    assert.match(keys, /tls\.key: \|\n {4}-----BEGIN PRIVATE KEY-----\n/);
  });

  await t.test("the controller does not start before its key is there, and makes none", async () => {
    await sh("systemctl enable k3s && systemctl start k3s");
    await until("the API", async () => (await devices.exec(ID, "k3s kubectl get --raw=/readyz")).code === 0);
    const { keys, controller } = await manifests();
    put("edge-fleet-sealed-secrets-keys.yaml", keys.split("---\n")[0] ?? "");
    put("edge-fleet-sealed-secrets.yaml", controller);
    put("edge-fleet-crd-sealedsecret.yaml", await sealedSecretDefinition());
    await until("its pod", async () => (await look("-n sealed-secrets get pods -o name")) !== "");
    await sleep(8000);
    assert.equal(await podsReady(), "1/");
    assert.equal(await keysOnDevice(), 0);
    put("edge-fleet-sealed-secrets-keys.yaml", keys);
    await until("the controller", async () => (await podsReady()) === "1/1");
    assert.equal(await keysOnDevice(), 1);
  });

  await t.test("it opens what was sealed without asking anybody, byte for byte", async () => {
    await kubectl("create namespace edge-apps");
    const value = "geheim\u0000\n#ü: {x}\n";
    const sealed = await seal("one", value);
    assert.ok(!sealed.includes("geheim") && !sealed.includes(Buffer.from("geheim").toString("base64").slice(0, 7)));
    await apply(sealed);
    await until("the Secret", async () => (await opened("one")) === value);
    assert.equal(await look("-n edge-apps get secret one -o jsonpath={.type}"), "Opaque");
    const large = "x".repeat(900_000);
    await apply(await seal("large", large));
    await until("the large one", async () => (await opened("large")) === large);
  });

  await t.test("it makes a Secret again that somebody deletes", async () => {
    await kubectl("-n edge-apps delete secret one");
    await until("the Secret again", async () => (await opened("one")).startsWith("geheim"));
  });

  await t.test("it takes over what it had made before it was taken away and came back", async () => {
    const owner = () => look("-n edge-apps get secret one -o jsonpath={.metadata.ownerReferences[0].kind}");
    // As the device program leaves it, see apply-secrets.test.ts.
    const patch = { metadata: { ownerReferences: null, annotations: { "sealedsecrets.bitnami.com/managed": "true" } } };
    await kubectl(`-n edge-apps patch secret one --type=merge -p '${JSON.stringify(patch)}'`);
    assert.equal(await owner(), "");
    await kubectl("-n sealed-secrets delete pods --all");
    await until("its owner", async () => (await owner()) === "SealedSecret");
  });

  await t.test("one that is moved to another name or namespace opens only where its scope reaches", async () => {
    await kubectl("create namespace other");
    const strict = await seal("a", "strict");
    const wide = await seal("b", "wide", "--scope", "namespace-wide");
    const cluster = await seal("c", "cluster", "--scope", "cluster-wide");
    const move = (text: string, from: string, to: string) => text.replaceAll(`name: ${from}\n`, `name: ${to}\n`);
    await apply(move(strict, "a", "a2"));
    await apply(move(wide, "b", "b2"));
    await apply(wide.replaceAll("namespace: edge-apps", "namespace: other"));
    await apply(cluster.replaceAll("namespace: edge-apps", "namespace: other"));
    await until("b2", async () => (await opened("b2")) === "wide");
    await until("c in other", async () => (await opened("c", "other")) === "cluster");
    await until("a2 is refused", async () => /^False no key could decrypt secret/.test(await condition("a2")));
    await until("b in other is refused", async () => /^False no key could decrypt/.test(await condition("b", "other")));
    assert.equal(await opened("a2"), "");
  });

  await t.test("it opens nothing of another region", async () => {
    const { stdout } = await edgeFleet(["seal", "osaka"], secretOf("foreign", "osaka"));
    await apply(stdout);
    await until("it is refused", async () => /^False no key could decrypt/.test(await condition("foreign")));
  });

  await t.test("a new key seals, and both open", async () => {
    await edgeFleet(["seal", "tokyo", "--new-key"]);
    const { keys, controller } = await manifests();
    put("edge-fleet-sealed-secrets-keys.yaml", keys);
    put("edge-fleet-sealed-secrets.yaml", controller);
    await until("the other pod", async () => (await keysOfPods()) === 2 && (await podsReady()) === "1/1");
    assert.equal(await keysOnDevice(), 2);
    await apply(await seal("two", "new"));
    await until("what the new key sealed", async () => (await opened("two")) === "new");
    await kubectl("-n edge-apps delete secret one");
    await until("what the old key sealed", async () => (await opened("one")).startsWith("geheim"));
  });

  await t.test("a key for one model or device opens on it as well", async () => {
    await edgeFleet(["seal", "tokyo", "--device", ID, "--new-key"]);
    const { keys, controller } = await manifests();
    put("edge-fleet-sealed-secrets-keys.yaml", keys);
    put("edge-fleet-sealed-secrets.yaml", controller);
    await apply(await seal("own", "mine", "--device", ID));
    await until("what is the device's own", async () => (await opened("own")) === "mine");
  });

  await t.test("an old key that is forgotten leaves the device", async () => {
    await edgeFleet(["seal", "tokyo", "--forget-old-keys"]);
    const { keys, controller } = await manifests();
    put("edge-fleet-sealed-secrets-keys.yaml", keys);
    put("edge-fleet-sealed-secrets.yaml", controller);
    await until("two keys", async () => (await keysOnDevice()) === 2);
    await until("the other pod", async () => (await keysOfPods()) === 2 && (await podsReady()) === "1/1");
    await kubectl("-n edge-apps delete secret one");
    await until("the old one is refused", async () => /^False no key could decrypt/.test(await condition("one")));
  });

  await t.test("what it takes with 30 of them", async () => {
    for (let n = 0; n < 20; n++) await apply(await seal(`n${n}`, "x".repeat(2000)));
    await until("the last", async () => (await opened("n19")) !== "");
    const text = await sh(
      "for pid in $(pgrep -f key-renew-period); do awk '/^Rss:/ { r = $2 } /^Anonymous:/ { a = $2 } END { print r, a }' /proc/$pid/smaps_rollup; done | sort -n | tail -n 1",
    );
    const [rss, anonymous] = text
      .trim()
      .split(" ")
      .map((kib) => Math.round(Number(kib) / 1024));
    t.diagnostic(`controller with 30 SealedSecrets: ${rss} MiB resident, ${anonymous} anonymous`);
    assert.ok((rss ?? 0) > 0);
  });
});
