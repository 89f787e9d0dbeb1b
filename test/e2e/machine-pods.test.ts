/**
 * A device that pulls, with pods that are real: a machine with systemd, the device program over SSH, Kubernetes' API server,
 * controllers, kubelet and kube-proxy, Debian's containerd and runc, and Argo CD from the archives that edge-fleet makes of a
 * registry's images. Stand-ins: the registry, the K3s around them, its scheduler, DNS and network, in which no policy is enforced.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { stringify } from "yaml";
import { writeImageArchive } from "../../cli/lock/image-archive.ts";
import { PROGRAM_PATH } from "../../components/device/program.ts";
import { renderDeviceEntry } from "../../components/gitops/device-entry.ts";
import { engineSize } from "../../components/gitops/engine/argocd/settings.ts";
import { readPins, renderRing } from "../../components/gitops/rings.ts";
import { renderTree } from "../../components/gitops/tree.ts";
import type { TreeDevice, TreeInput } from "../../components/gitops/tree-input.ts";
import { planTree, writeTree } from "../../components/gitops/writer.ts";
import { principalObjects } from "../../components/hub/principal/index.ts";
import type { ArtifactsLock } from "../../components/inventory/schema.ts";
import type { Profile } from "../../components/inventory/types.ts";
import { ARTIFACT_STORE } from "../../components/plan/artifact.ts";
import { renderPayload } from "../../components/plan/payload.ts";
import { renderStartingCondition, type STARTING_CONDITIONS } from "../../components/registration/starting-condition.ts";
import { initRepository, pushAll } from "../lab/argocd/checkout.ts";
import { startGitServer } from "../lab/argocd/git-server.ts";
import { MachineDevice, machineProfile } from "../lab/machines/device.ts";
import { writeImages } from "../lab/machines/images.ts";
import { enterMachines, Machine } from "../lab/machines/index.ts";
import { ADVERTISED_ADDRESS, insideNamespaces } from "../lab/namespace.ts";
import { answerFromRegistry } from "../lab/registry.ts";
import { OLD } from "../lab/standins/apply-device.ts";
import { realDefinitions } from "../lab/standins/engine-lock.ts";
import { BINARIES_PATH, deviceBinaries, POD_PARTS } from "../lab/standins/images.ts";
import { k3sApiStandin } from "../lab/standins/index.ts";
import { locked, sha256 } from "../lab/standins/locked.ts";
import { ensureToolchain } from "../lab/toolchain/index.ts";
import { KUBELET_PARTS } from "../lab/toolchain/parts.ts";
import { gitopsOf } from "../unit/device/profile.ts";

const PARTS = [...POD_PARTS, ...KUBELET_PARTS];
if (!insideNamespaces()) await ensureToolchain((line) => process.stderr.write(`${line}\n`), PARTS);
await enterMachines(["pods"]);
const toolchain = await ensureToolchain(() => {}, PARTS);

/** The engine's programs, in the order of their sizes. */
const PROGRAMS = ["argocd-application-controller", "argocd-repo-server", "redis-server"];
const ENGINE = [
  "statefulset/argocd-application-controller",
  "deployment/argocd-repo-server",
  "deployment/argocd-redis",
];
const PASSWORD = "lab-git-password";
/** Where nobody answers: what a device needs is in its store. */
const UNREACHABLE = "http://127.0.0.1:9";
/** How long nothing must happen for a test to believe that it does not, in milliseconds. */
const QUIET_MS = 20_000;

const directory = mkdtempSync("/run/edge-fleet-pods-");
const binaries = await deviceBinaries(toolchain);
const archive = join(directory, "images.tar");
const registry = createServer((request, response) => {
  if (!answerFromRegistry(request, response, { blob: images.blob, tags: {} })) response.writeHead(404).end();
}).listen(0, "127.0.0.1");
await once(registry, "listening");
after(() => registry.close());
const { port } = registry.address() as AddressInfo;
const images = writeImages(binaries, join(directory, "images"), archive, `127.0.0.1:${port}`);
initRepository(directory);
const login = { username: "fleet", password: PASSWORD };
const git = await startGitServer(join(directory, "repositories"), {
  ...{ protocol: "https", address: ADVERTISED_ADDRESS, login },
});
after(() => git.stop());

const nodeParts = toolchain.parts.filter(({ name }) => KUBELET_PARTS.some((part) => part === name));
const machine = await Machine.start({
  id: "edge-0001",
  init: "systemd",
  pods: {
    binds: {
      [BINARIES_PATH]: binaries,
      ...Object.fromEntries(nodeParts.map(({ name, path }) => [`/usr/local/bin/${name}`, path])),
    },
  },
});
after(() => machine.stop());
const device = new MachineDevice(machine);

const { argocd: settings } = gitopsOf("argocd");
const profile: Profile = machineProfile(machine, OLD, {
  memoryMiB: 2048,
  artifacts: { delivery: "fetch", mirror: UNREACHABLE, maxKiBPerSecond: undefined, images: true },
  gitops: {
    ...gitopsOf("argocd"),
    access: { type: "https", username: login.username, ...(git.authority === undefined ? {} : { ca: git.authority }) },
  },
});
const treeDevice: TreeDevice = {
  ...{ id: profile.id, region: profile.region, model: profile.model, ring: "canary", engine: "argocd" },
};
const input: TreeInput = {
  fleetName: "lab",
  git: { url: `${git.url}/fleet.git`, branch: "main", path: "fleet", layout: "live" },
  rings: ["canary"],
  models: { [profile.model]: { architecture: profile.architecture, memoryMiB: profile.memoryMiB } },
  devices: [treeDevice],
};

const checkout = join(directory, "checkout");
const tree = join(checkout, "fleet");
const write = (path: string, content: string) => {
  mkdirSync(dirname(join(tree, path)), { recursive: true });
  writeFileSync(join(tree, path), content);
};

/** Releases a level of the base to the device's ring: first its pod, and only when that is well the settings. */
function release(level: string): void {
  const wave = (number: number) => ({ annotations: { "argocd.argoproj.io/sync-wave": String(number) } });
  write("base/kustomization.yaml", stringify({ resources: ["web.yaml", "settings.yaml"] }));
  const container = {
    ...{ name: "web", image: images.shell, command: ["sh", "-c", "trap exit TERM; sleep 2147483647 & wait"] },
    env: [{ name: "LEVEL", value: level }],
    securityContext: {
      ...{ runAsNonRoot: true, runAsUser: 4242, allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
      seccompProfile: { type: "RuntimeDefault" },
    },
  };
  write(
    "base/web.yaml",
    stringify({
      ...{ apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "web", ...wave(0) } },
      spec: {
        ...{ minReadySeconds: 5, selector: { matchLabels: { app: "web" } } },
        template: { metadata: { labels: { app: "web" } }, spec: { containers: [container] } },
      },
    }),
  );
  const map = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "settings", ...wave(1) }, data: { level } };
  write("base/settings.yaml", stringify(map));
  const render = () => writeTree(tree, planTree(tree, renderTree(input, readPins(tree, []))));
  render();
  write("rings/canary.yaml", renderRing("canary", pushAll(checkout, level)));
  render();
  pushAll(checkout, `promote ${level}`);
}

const kubectl = (words: string) => device.sh(`k3s kubectl ${words}`);
const refresh = () => kubectl("-n argocd annotate --overwrite application edge-root argocd.argoproj.io/refresh=normal");
const asks = (words: string, wanted: string) => `[ "$(k3s kubectl ${words} 2>/dev/null)" = '${wanted}' ]`;
const runs = (level: string) =>
  eventually(asks("-n edge-apps get configmap settings -o jsonpath={.data.level}", level), 120);

/** Waits until a sh text succeeds on the machine. @throws AssertionError with what the cluster says */
async function eventually(condition: string, seconds: number): Promise<void> {
  try {
    await device.until(condition, seconds);
  } catch (error) {
    const { stdout } = await machine.ssh(`k3s kubectl get nodes,pods,applications -A -o wide
      k3s kubectl get events -A --sort-by=.lastTimestamp | tail -n 20
      k3s kubectl -n argocd get applications -o jsonpath='{.items[*].status.operationState.message}'`);
    throw new Error(stdout, { cause: error });
  }
}

/** Waits until the engine's processes run, the cluster calls their pods ready, and the device program calls it so. */
async function engineReady(): Promise<void> {
  for (const name of PROGRAMS) await eventually(`pgrep -u 999 -f '^(/[^ ]*/)?${name}' >/dev/null`, 120);
  for (const workload of ENGINE) await rolledOut("argocd", workload);
  assert.equal(JSON.parse(await device.sh(`${PROGRAM_PATH} status`)).state, "ready");
}

/** The same of the engine and the workload. */
async function ready(): Promise<void> {
  await engineReady();
  await eventually("pgrep -u 4242 sleep >/dev/null", 120);
  await rolledOut("edge-apps", "deployment/web");
}

function rolledOut(namespace: string, workload: string): Promise<void> {
  return eventually(`k3s kubectl -n ${namespace} rollout status ${workload} --timeout=1s >/dev/null 2>&1`, 120);
}

/** The archive of an image, as `edge-fleet lock` makes it. */
async function archiveOf(reference: string): Promise<Buffer> {
  const target = join(directory, "archive.tar");
  await writeImageArchive({ reference, architecture: profile.architecture }, target, join(directory, "layers"));
  return readFileSync(target);
}

test("the engine comes up from the manifests' folder and archives of its images, and brings the workload", async () => {
  release("1");
  await device.enroll();
  const definitions = await realDefinitions();
  const binary = k3sApiStandin(OLD);
  const image = readFileSync(archive);
  const [argocd, redis] = [await archiveOf(images.argocd), await archiveOf(images.redis)];
  for (const content of [binary, image, argocd, redis, ...definitions.map(({ text }) => text)])
    machine.write(`${ARTIFACT_STORE}/${sha256(content)}`, content);
  const both = <File>(file: File) => ({ amd64: file, arm64: file });
  const lock: ArtifactsLock = {
    k3s: { [OLD]: { ...both(locked(binary)), images: both(locked(image, `${UNREACHABLE}/images.tar`)) } },
    argocd: {
      [settings.version]: {
        crds: definitions.map(({ file }) => file),
        images: { argocd: images.argocd, redis: images.redis },
      },
    },
    imageArchives: {
      [images.argocd]: both(locked(argocd, "images/argocd.tar")),
      [images.redis]: both(locked(redis, "images/redis.tar")),
    },
  };
  const payload = renderPayload(profile, lock, {
    entry: renderDeviceEntry(input, treeDevice),
    secrets: { "git-password": PASSWORD },
  });
  const { result, reason, engine } = await device.applyPayload(payload);
  assert.equal(result, "applied", reason);
  assert.match(engine, /^(ready|waiting: )/);
  await engineReady();
  await runs("1");
  await ready();
});

test("the engine's processes are as confined as their pods say, by the kernel's word", async (t) => {
  const { controller, repoServer, redis } = engineSize(profile.memoryMiB);
  const limits = [controller, repoServer, redis].map(({ limitMiB }) => limitMiB);
  for (const [index, name] of PROGRAMS.entries()) {
    const pid = await device.sh(`pgrep -u 999 -of '^(/[^ ]*/)?${name}'`);
    const status = await device.sh(`grep -E '^(Uid|Gid|CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/${pid}/status`);
    assert.deepEqual(
      status.split("\n").map((line) => line.split(/\s+/).slice(0, 2).join(" ")),
      ["Uid: 999", "Gid: 999", "CapEff: 0000000000000000", "CapBnd: 0000000000000000", "NoNewPrivs: 1", "Seccomp: 2"],
      name,
    );
    assert.match(await device.sh(`cat /proc/${pid}/mountinfo`), /^\S+ \S+ \S+ \S+ \/ ro,/m, name);
    const group = `$(sed -n 's/^[0-9]*:memory://p' /proc/${pid}/cgroup)`;
    const unified = `/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/${pid}/cgroup)/memory.max`;
    const limit = await device.sh(
      `cat /sys/fs/cgroup/memory${group}/memory.limit_in_bytes 2>/dev/null || cat ${unified}`,
    );
    assert.equal(Number(limit) / 1024 / 1024, limits[index], name);
    const figures = await device.sh(`awk '/^(Rss|Anonymous):/ { print $2 }' /proc/${pid}/smaps_rollup`);
    const [resident, anonymous] = figures.split("\n").map((kibibytes) => Math.round(Number(kibibytes) / 1024));
    t.diagnostic(`${name}: ${resident} MiB resident, ${anonymous} anonymous`);
  }
});

test("a principal's pod starts once the region has made what it waits for, by a real kubelet", async () => {
  const namespace = "argocd-loopback";
  const principal = principalObjects({
    ...{ namespace, agents: 1, exposure: { service: "ClusterIP", annotations: {}, sourceRanges: [] } },
    releases: [{ version: "v0.10.0", image: images.shell, port: 443, certificate: "" }],
  });
  const redis = {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "argocd-redis", namespace },
    stringData: { auth: "x" },
  };
  const objects = [{ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } }, redis, ...principal];
  await create("principal.json", objects.map(withSleep));
  const running = "pgrep -u 999 -f 'sleep 2147483646' >/dev/null";
  const reason = "{.items[*].status.containerStatuses[*].state.waiting.reason}";
  const waits = async () => {
    await eventually(asks(`-n ${namespace} get pods -o jsonpath=${reason}`, "ContainerCreating"), 60);
    await sleep(QUIET_MS);
    assert.equal((await machine.ssh(running)).code, 1);
  };
  await waits();
  await create("blocklist.json", [condition("blocklist")]);
  await waits();
  await create("registered.json", [condition("registered")]);
  // The kubelet looks again after up to 2 min: maxDurationBeforeRetry of its volumes' exponential backoff.
  await eventually(running, 180);
});

/** Its program cannot be had: a shell that sleeps stands in for it. */
function withSleep(object: object): object {
  const deployment = object as { kind: string; spec: { template: { spec: { containers: object[] } } } };
  if (deployment.kind !== "Deployment") return object;
  const { spec } = deployment;
  const command = ["sh", "-c", "trap exit TERM; sleep 2147483646 & wait"];
  const containers = spec.template.spec.containers.map((container) => ({ ...container, command, args: [] }));
  const template = { ...spec.template, spec: { ...spec.template.spec, containers } };
  return { ...deployment, spec: { ...spec, template } };
}

function condition(name: keyof typeof STARTING_CONDITIONS): object {
  return { apiVersion: "v1", kind: "ConfigMap", ...renderStartingCondition(name, "loopback") };
}

async function create(file: string, items: readonly object[]): Promise<void> {
  machine.write(`/var/tmp/${file}`, JSON.stringify({ apiVersion: "v1", kind: "List", items }));
  await kubectl(`create -f /var/tmp/${file}`);
}

test("what is deleted comes back while Git is off", async () => {
  await git.stop();
  try {
    await kubectl("-n edge-apps delete deployment web --cascade=foreground");
    await ready();
  } finally {
    await git.start();
  }
});

test("a reboot brings everything back, and the next release comes", async () => {
  await machine.shutDown();
  await machine.boot();
  await ready();
  release("2");
  await refresh();
  await runs("2");
});

test("a power cut in the middle of a sync ends in that sync", async () => {
  release("3");
  await refresh();
  const phase = "-n argocd get application workloads -o jsonpath={.status.operationState.phase}";
  await eventually(
    `${asks("-n edge-apps get deployment web -o jsonpath={..env[0].value}", "3")} && ${asks(phase, "Running")}`,
    60,
  );
  await machine.powerCut();
  await machine.boot();
  await runs("3");
  await ready();
  await eventually(asks(phase, "Succeeded"), 60);
});
