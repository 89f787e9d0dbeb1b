/**
 * The stand-in for what runs pods on a lab device, against manifests that others wrote: upstream's own installation of Argo
 * CD comes up on it and syncs from Git; and against pods with one fault each, which fail as on a real node. No part of the
 * product is in this test.
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { startGitServer } from "../lab/argocd/git-server.ts";
import { startDevices } from "../lab/devices/lab.ts";
import { ADVERTISED_ADDRESS, enterNamespaces, insideNamespaces } from "../lab/namespace.ts";
import { runCommand } from "../lab/run-command.ts";
import { ask, until } from "../lab/scenario.ts";
import { BINARIES_PATH, deviceBinaries, IMAGES, IMAGES_PATH, POD_PARTS } from "../lab/standins/images.ts";
import { k3sApiStandin } from "../lab/standins/index.ts";
import { argocdManifests, ensureToolchain } from "../lab/toolchain/index.ts";

if (!insideNamespaces()) await ensureToolchain((line) => process.stderr.write(`${line}\n`), POD_PARTS);
await enterNamespaces();
const toolchain = await ensureToolchain(() => {}, POD_PARTS);

const ID = "edge";
const directory = mkdtempSync("/run/edge-fleet-pods-");
const devices = await startDevices({
  directory,
  devices: [{ id: ID, architecture: "amd64", linked: true }],
  binds: { [BINARIES_PATH]: await deviceBinaries(toolchain) },
  files: [
    { path: "/usr/local/bin/k3s", content: k3sApiStandin("v1.36.2+k3s1"), mode: 0o755 },
    { path: IMAGES_PATH, content: JSON.stringify(IMAGES) },
    { path: "/etc/rancher/k3s/config.yaml", content: `node-name: ${ID}\n` },
    { path: "/etc/systemd/system/k3s.service", content: "[Service]\nExecStart=/usr/local/bin/k3s server\n" },
  ],
});

const sh = (command: string) => ask(devices, ID, command);
const kubectl = (words: string) => sh(`k3s kubectl ${words}`);
const apply = async (object: object) => {
  writeFileSync(join(devices.devices[0]?.root ?? "", "root/object.json"), JSON.stringify(object));
  await kubectl("apply --server-side -f /root/object.json");
};

/** A pod of the shell image. */
function pod(name: string, command: string, { container = {}, spec = {}, labels = {} } = {}) {
  const image = "lab.invalid/shell:1";
  return {
    ...{ apiVersion: "v1", kind: "Pod", metadata: { name, namespace: "default", labels } },
    spec: { containers: [{ name: "c", image, command: ["sh", "-c", command], ...container }], ...spec },
  };
}

/** What a pod's first container waits for, or `running`; with what its log ends. */
async function how(name: string): Promise<string> {
  const { status } = JSON.parse(await kubectl(`get pod ${name} -o json`));
  const [container] = status.containerStatuses ?? [];
  return container?.state.waiting?.reason ?? Object.keys(container?.state ?? { none: {} })[0];
}

const logOf = (name: string) => sh(`cat /var/log/pods/default_${name}_*/c/*.log`);

test.after(() => devices.stop());

test("pods run as they say", async (t) => {
  await sh("systemctl enable k3s && systemctl start k3s");
  await until("the API", async () => (await devices.exec(ID, "k3s kubectl get --raw=/readyz")).code === 0);
  await until("the account", async () => (await devices.exec(ID, "k3s kubectl get sa default")).code === 0);

  await t.test("with their user, environment, files, token and names, and no more rights", async () => {
    await apply({
      ...{ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "settings", namespace: "default" } },
      data: { colour: "blue", file: "content" },
    });
    const script = `id -u; id -G; echo "$COLOUR $NODE $MEMORY $(cat /etc/settings/file)"
      curl -s --cacert /var/run/secrets/kubernetes.io/serviceaccount/ca.crt https://kubernetes.default.svc/version \\
        -H "Authorization: Bearer $(cat /var/run/secrets/kubernetes.io/serviceaccount/token)" | grep -c gitVersion
      curl -s -o /dev/null -w '%{http_code}\\n' --cacert /var/run/secrets/kubernetes.io/serviceaccount/ca.crt \\
        https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT/api/v1/namespaces/kube-system/secrets \\
        -H "Authorization: Bearer $(cat /var/run/secrets/kubernetes.io/serviceaccount/token)"
      touch /etc/x 2>&1; touch /etc/settings/x 2>&1; touch /scratch/ok && stat -c %g /scratch/ok; grep -E 'CapBnd|NoNewPrivs' /proc/self/status; sleep 1000`;
    const settings = { name: "settings", configMap: { name: "settings" } };
    await apply(
      pod("good", script, {
        container: {
          env: [
            { name: "COLOUR", valueFrom: { configMapKeyRef: { name: "settings", key: "colour" } } },
            { name: "NODE", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } },
            { name: "MEMORY", valueFrom: { resourceFieldRef: { resource: "limits.memory", divisor: "1Mi" } } },
          ],
          resources: { limits: { memory: "64Mi" } },
          securityContext: {
            ...{ readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
          },
          volumeMounts: [
            { name: "settings", mountPath: "/etc/settings" },
            { name: "scratch", mountPath: "/scratch" },
          ],
        },
        spec: {
          securityContext: { runAsUser: 4242, runAsNonRoot: true, fsGroup: 777 },
          volumes: [settings, { name: "scratch", emptyDir: {} }],
        },
      }),
    );
    await until("its last line", async () =>
      /CapBnd/.test((await devices.exec(ID, "cat /var/log/pods/default_good_*/c/*.log")).stdout),
    );
    const lines = (await logOf("good")).split("\n");
    assert.deepEqual(lines.slice(0, 5), ["4242", "4242 777", `blue ${ID} 64 content`, "1", "403"]);
    assert.match(lines[5] ?? "", /Read-only file system/);
    assert.match(lines[6] ?? "", /Read-only file system/);
    assert.deepEqual(
      [lines[7], ...lines.slice(8).map((line) => line.split(/\s+/)[1])],
      ["777", "0000000000000000", "1"],
    );
  });

  await t.test("and fail as on a node: by exit, image, key, user", async () => {
    await apply(pod("crash", "exit 3"));
    await apply(pod("image", "true", { container: { image: "registry.invalid/none:1" } }));
    const missing = { name: "X", valueFrom: { configMapKeyRef: { name: "settings", key: "none" } } };
    await apply(pod("key", "true", { container: { env: [missing] } }));
    await apply(pod("root", "true", { container: { securityContext: { runAsNonRoot: true } } }));
    for (const [name, wanted] of [
      ["crash", "CrashLoopBackOff"],
      ["image", "ImagePullBackOff"],
      ["key", "CreateContainerConfigError"],
      ["root", "CreateContainerConfigError"],
    ] as const)
      await until(`${name}: ${wanted}`, async () => (await how(name)) === wanted);
    const restarts = async () =>
      JSON.parse(await kubectl("get pod crash -o json")).status.containerStatuses[0].restartCount;
    await until("two restarts", async () => (await restarts()) >= 2);
  });

  await t.test("upstream's installation of Argo CD comes up, and syncs from Git", async () => {
    const manifests = (await argocdManifests()).directory;
    writeFileSync(
      join(devices.devices[0]?.root ?? "", "root/core.yaml"),
      readFileSync(join(manifests, "core-install.yaml")),
    );
    await kubectl("create namespace argocd");
    await kubectl("apply --server-side -n argocd -f /root/core.yaml");
    // Upstream's server makes it, which this installation does not have.
    const key = JSON.stringify({ stringData: { "server.secretkey": "only-for-the-lab" } });
    await kubectl(`-n argocd patch secret argocd-secret -p '${key}'`);
    await kubectl("-n argocd scale deployment argocd-applicationset-controller --replicas=0");
    const repositories = join(directory, "repositories");
    const git = await startGitServer(repositories, { address: ADVERTISED_ADDRESS });
    t.after(() => git.stop());
    mkdirSync(join(directory, "work/app"), { recursive: true });
    const work = (...args: string[]) =>
      runCommand("git", ["-c", "user.name=lab", "-c", "user.email=lab@example.com", ...args], {
        ...{ cwd: join(directory, "work"), env: {} },
      });
    await work("init", "-q", "--bare", "-b", "main", join(repositories, "fleet.git"));
    await work("init", "-q", "-b", "main");
    const map = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "from-git" }, data: { a: "1" } };
    writeFileSync(join(directory, "work/app/map.yaml"), JSON.stringify(map));
    await work("add", ".");
    await work("commit", "-qm", "first");
    assert.equal((await work("push", "-q", join(repositories, "fleet.git"), "main")).code, 0);
    for (const name of ["statefulset/argocd-application-controller", "deployment/argocd-repo-server"])
      await kubectl(`-n argocd rollout status ${name} --timeout=90s`);
    await apply({
      ...{ apiVersion: "argoproj.io/v1alpha1", kind: "AppProject", metadata: { name: "default", namespace: "argocd" } },
      spec: { sourceRepos: ["*"], destinations: [{ server: "*", namespace: "*" }] },
    });
    await apply({
      ...{ apiVersion: "argoproj.io/v1alpha1", kind: "Application", metadata: { name: "app", namespace: "argocd" } },
      spec: {
        project: "default",
        source: { repoURL: `${git.url}/fleet.git`, path: "app", targetRevision: "main" },
        destination: { server: "https://kubernetes.default.svc", namespace: "default" },
        syncPolicy: { automated: { selfHeal: true } },
      },
    });
    await until("the object", async () => (await devices.exec(ID, "k3s kubectl get configmap from-git")).code === 0);
    assert.ok(git.traffic().requests > 0);
  });

  await t.test("network policies admit what they say: redis answers Argo CD and nobody else", async () => {
    const script =
      "timeout 5 bash -c 'echo PING >/dev/tcp/argocd-redis.argocd/6379' && echo open || echo closed; sleep 1000";
    await apply(pod("stranger", script));
    await until("an answer", async () =>
      /open|closed/.test((await devices.exec(ID, "cat /var/log/pods/default_stranger_*/c/*.log")).stdout),
    );
    assert.match(await logOf("stranger"), /closed/);
  });

  await t.test("they outlive a restart of the service, and a power cut restarts them with their files", async () => {
    const pids = () => sh("cat /run/k3s/standin/pods/*/containers/c/pid | sort");
    const before = await pids();
    await sh("systemctl restart k3s");
    await until("the API", async () => (await devices.exec(ID, "k3s kubectl get --raw=/readyz")).code === 0);
    await kubectl("wait --for=condition=Ready pod/good --timeout=20s");
    const others = (await pids()).split("\n").filter((pid) => !before.split("\n").includes(pid));
    assert.ok(others.length <= 1, "but for the one that crashes all are the same processes");
    devices.cutPower(ID);
    assert.equal(await sh("ls /run/k3s 2>&1 || :"), "ls: cannot access '/run/k3s': No such file or directory");
    const booted = await devices.boot(ID);
    assert.equal(booted.code, 0, booted.stderr);
    await until("good again", async () => {
      const { code, stdout } = await devices.exec(ID, "k3s kubectl get pod good -o json");
      return code === 0 && JSON.parse(stdout).status.containerStatuses[0].restartCount === 1;
    });
    assert.match(await sh("ls /var/lib/kubelet/pods/*/volumes/scratch"), /ok/);
    for (const name of ["statefulset/argocd-application-controller", "deployment/argocd-repo-server"])
      await kubectl(`-n argocd rollout status ${name} --timeout=90s`);
  });
});
