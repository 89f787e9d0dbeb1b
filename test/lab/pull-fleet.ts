/**
 * A lab fleet whose devices pull: a Git server with a log-in and an authority of its own, the project as a clone of its
 * repository, and devices that run Argo CD from it. For tests and the demo: what an operator does, and what one sees of it.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { stringify } from "yaml";
import { fleetTree } from "../../cli/commands/tree-option.ts";
import { renderRing } from "../../components/gitops/rings.ts";
import { loadInventory } from "../../components/inventory/index.ts";
import { type GitServer, startGitServer } from "./argocd/git-server.ts";
import { type LabFleet, type LabFleetOptions, startLabFleet } from "./fleet.ts";
import { ADVERTISED_ADDRESS } from "./namespace.ts";

/** Namespace of the tree's workloads on a device. */
export const WORKLOADS = "edge-apps";
/** The first password of the devices for Git. */
export const GIT_PASSWORD = "lab-git-password-1";

const USERNAME = "fleet";
const DIGEST = "0".repeat(64);

/** Looks at Git and forgets a revision after so many seconds in {@link PullFleet.quicken}, instead of minutes. */
const QUICK_SECONDS = 5;

/** How an Application is. */
export interface PulledApplication {
  /** `Synced`, `OutOfSync` or `Unknown`. */
  readonly sync: string;
  readonly health: string;
  /** Commit that it compares with. */
  readonly revision: string;
}

/** The fleet, its repository and its server. */
export class PullFleet {
  readonly fleet: LabFleet;
  readonly git: GitServer;
  /** Bare repository that the server serves. */
  readonly repository: string;
  /** URL by which devices read it. */
  readonly url: string;

  private constructor(fleet: LabFleet, git: GitServer, repository: string) {
    this.fleet = fleet;
    this.git = git;
    this.repository = repository;
    this.url = `${git.url}/fleet.git`;
  }

  /** Starts the server and the fleet; nothing is committed, enrolled or applied yet. */
  static async start(options: LabFleetOptions): Promise<PullFleet> {
    const repositories = mkdtempSync("/run/edge-fleet-git-");
    const repository = join(repositories, "fleet.git");
    execFileSync("git", ["init", "--quiet", "--bare", "--initial-branch=main", repository]);
    const login = { username: USERNAME, password: GIT_PASSWORD };
    const git = await startGitServer(repositories, { protocol: "https", address: ADVERTISED_ADDRESS, login });
    const fleet = await startLabFleet({
      ...options,
      git: {
        url: `${git.url}/fleet.git`,
        access: { type: "https", username: USERNAME, ...(git.authority === undefined ? {} : { ca: git.authority }) },
      },
      gitops: options.gitops ?? { engine: "argocd", argocd: { reconcileMinutes: 1 } },
      secrets: { "git-password": GIT_PASSWORD },
    });
    const pulling = new PullFleet(fleet, git, repository);
    pulling.#clone();
    return pulling;
  }

  #clone(): void {
    this.run("init", "--quiet", "--initial-branch=main");
    for (const [key, value] of [
      ["user.name", "lab"],
      ["user.email", "lab@example.com"],
      ["commit.gpgsign", "false"],
    ] as const)
      this.run("config", key, value);
    this.run("remote", "add", "origin", this.repository);
    writeFileSync(
      this.fleet.path(".gitignore"),
      "/.edge-fleet\n/components\n/index.ts\n/node_modules\n/package.json\n",
    );
  }

  /** Runs git in the project. @throws Error with what it said */
  run(...args: string[]): string {
    return execFileSync("git", args, { cwd: this.fleet.path("."), encoding: "utf8" }).trim();
  }

  /** Writes a file of the tree. */
  write(path: string, ...objects: object[]): void {
    const target = join(this.fleet.tree, path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, objects.map((object) => stringify(object)).join("---\n"));
  }

  /** Writes the base of all devices: a Deployment, a StatefulSet with a volume, and a ConfigMap. @param level what changes in it @param image of its Deployment */
  writeBase(level: string, image = "lab.invalid/shell"): void {
    this.write("base/kustomization.yaml", {
      ...{ apiVersion: "kustomize.config.k8s.io/v1beta1", kind: "Kustomization" },
      resources: ["web.yaml", "store.yaml", "settings.yaml"],
    });
    this.write("base/settings.yaml", {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "settings" },
      data: { level },
    });
    this.write("base/web.yaml", {
      ...{ apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "web" } },
      spec: { selector: { matchLabels: { app: "web" } }, template: podTemplate("web", level, image) },
    });
    this.write("base/store.yaml", {
      ...{ apiVersion: "apps/v1", kind: "StatefulSet", metadata: { name: "store" } },
      spec: {
        serviceName: "store",
        selector: { matchLabels: { app: "store" } },
        template: podTemplate("store", "same", "lab.invalid/shell", {
          volumeMounts: [{ name: "data", mountPath: "/data" }],
        }),
        volumeClaimTemplates: [
          {
            metadata: { name: "data" },
            spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "10Mi" } } },
          },
        ],
      },
    });
  }

  /** Writes the folder of a workload beside the overlays, and one that a test reads by its branch. */
  writeExtra(): void {
    const map = (name: string) => ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data: { is: "here" } });
    const kustomization = { apiVersion: "kustomize.config.k8s.io/v1beta1", kind: "Kustomization" };
    this.write("workloads/extra/kustomization.yaml", { ...kustomization, resources: ["extra.yaml"] });
    this.write("workloads/extra/extra.yaml", map("extra"));
    this.write("control/settings.yaml", map("settings"));
  }

  /** Pins all rings of all workloads to a commit by hand, as promotions with reasons would, and pushes. */
  async pin(revision: string): Promise<void> {
    const input = fleetTree(loadInventory(this.fleet.inventory));
    for (const workload of [undefined, ...(input.workloads ?? [])]) {
      if (workload?.state === "removed") continue;
      for (const ring of input.rings) {
        const path = join(this.fleet.tree, "rings", workload?.name ?? "", `${ring}.yaml`);
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(path, renderRing(ring, revision, workload?.name));
      }
    }
    await this.push("Pin");
  }

  /** Lets a device's engine look at Git now, where the device runs. */
  async refresh(id: string): Promise<void> {
    await this.look(id, "-n argocd annotate --overwrite application edge-root argocd.argoproj.io/refresh=normal");
  }

  /** Adds a release of Argo CD to the lock that is the present one under another name. @returns its name */
  addRelease(): string {
    const release = "v9.9.9";
    this.fleet.edit("artifacts.lock.yaml", (lock) => {
      const { argocd } = lock.toJSON() as { argocd: Record<string, { images: { argocd: string } }> };
      const [[version, locked] = ["", undefined]] = Object.entries(argocd);
      if (locked === undefined) throw new Error("the lock has no release of Argo CD");
      const argoCd = locked.images.argocd.replace(`:${version}@`, `:${release}@`);
      lock.setIn(["argocd", release], { ...locked, images: { ...locked.images, argocd: argoCd } });
    });
    return release;
  }

  /** Applies objects on a device past Git. */
  async apply(id: string, ...objects: object[]): Promise<void> {
    const root = this.fleet.devices.devices.find((device) => device.id === id)?.root ?? "";
    writeFileSync(join(root, "root/objects.yaml"), objects.map((object) => stringify(object)).join("---\n"));
    await this.kubectl(id, "apply --server-side -f /root/objects.yaml");
  }

  /** Emits the tree, commits everything and pushes. @returns the commit's full SHA */
  async push(message: string): Promise<string> {
    const rendered = await this.fleet.edgeFleet(["render", "--tree", this.fleet.tree]);
    assert.equal(rendered.code, 0, rendered.stderr);
    this.run("add", "--all");
    this.run("commit", "--quiet", "--allow-empty", "-m", message);
    this.run("push", "--quiet", "--set-upstream", "origin", "main");
    return this.run("rev-parse", "HEAD");
  }

  /** Pins a ring to a commit and pushes. @param args further arguments of promote, as `--to HEAD` */
  async promote(ring: string, ...args: string[]): Promise<void> {
    const words = ["promote", ring, "--tree", this.fleet.tree, "--push", "--no-diff", ...args];
    const promoted = await this.fleet.edgeFleet(words);
    assert.equal(promoted.code, 0, promoted.stderr);
    this.run("pull", "--quiet", "--ff-only");
  }

  /** Runs kubectl on a device. @throws AssertionError with what it said */
  async kubectl(id: string, words: string): Promise<string> {
    const { code, stdout, stderr } = await this.fleet.devices.exec(id, `k3s kubectl ${words}`);
    assert.equal(code, 0, `${id}: kubectl ${words}: ${stderr}`);
    return stdout.trim();
  }

  /** What kubectl prints on a device; nothing where it fails. */
  async look(id: string, words: string): Promise<string> {
    const { code, stdout } = await this.fleet.devices.exec(id, `k3s kubectl ${words} 2>/dev/null`);
    return code === 0 ? stdout.trim() : "";
  }

  /** The level that a device runs; empty: none. */
  level(id: string): Promise<string> {
    return this.look(id, `-n ${WORKLOADS} get configmap settings -o jsonpath={.data.level}`);
  }

  /** How an Application of a device is; undefined where there is none. */
  async application(id: string, name = "workloads"): Promise<PulledApplication | undefined> {
    const text = await this.look(id, `-n argocd get application ${name} -o json`);
    if (text === "") return undefined;
    const { status = {} } = JSON.parse(text);
    const { sync = {}, health = {} } = status;
    return { sync: sync.status ?? "", health: health.status ?? "", revision: sync.revision ?? "" };
  }

  /** Whether the API of a device answers. */
  async isReady(id: string): Promise<boolean> {
    return (await this.look(id, "get --raw=/readyz")) === "ok";
  }

  /** Whether {@link quicken} holds on a device. */
  async isQuick(id: string): Promise<boolean> {
    const args =
      "-n argocd get statefulset argocd-application-controller -o jsonpath={.spec.template.spec.containers[0].args}";
    return (await this.look(id, args)).includes(`--app-resync=${QUICK_SECONDS}`);
  }

  /**
   * Lets a device's engine look at Git every 5 s and forget as soon, by flags that come after the product's own: so that
   * caches expire within a test. Until its manifests change or its cluster starts anew.
   */
  async quicken(id: string): Promise<void> {
    const flags = {
      "statefulset argocd-application-controller": [
        ...[`--app-resync=${QUICK_SECONDS}`, "--app-resync-jitter=0"],
        `--repo-error-grace-period-seconds=${QUICK_SECONDS}`,
      ],
      "deployment argocd-repo-server": [`--revision-cache-expiration=${QUICK_SECONDS}s`],
    };
    if (await this.isQuick(id)) return;
    for (const [workload, added] of Object.entries(flags)) {
      const path = "/spec/template/spec/containers/0/args/-";
      const patch = JSON.stringify(added.map((value) => ({ op: "add", path, value })));
      await this.kubectl(id, `-n argocd patch ${workload} --type=json -p '${patch}'`);
    }
    for (const workload of Object.keys(flags))
      await this.kubectl(id, `-n argocd rollout status ${workload.replace(" ", "/")} --timeout=90s`);
  }

  /** Ends everything. */
  async stop(): Promise<void> {
    await this.fleet.stop();
    await this.git.stop();
  }
}

/** A pod that runs for ever and satisfies Pod Security's `restricted`. @param level changes it */
function podTemplate(app: string, level: string, image: string, container: object = {}): object {
  return {
    metadata: { labels: { app } },
    spec: {
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 1,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: 1000,
        fsGroup: 1000,
        seccompProfile: { type: "RuntimeDefault" },
      },
      containers: [
        {
          name: app,
          image: `${image}:1@sha256:${DIGEST}`,
          command: ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1; done"],
          env: [{ name: "LEVEL", value: level }],
          resources: { requests: { cpu: "10m", memory: "8Mi" }, limits: { memory: "16Mi" } },
          securityContext: {
            ...{ allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] }, readOnlyRootFilesystem: true },
          },
          ...container,
        },
      ],
    },
  };
}
