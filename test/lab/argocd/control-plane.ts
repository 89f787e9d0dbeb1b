/**
 * A region's control plane on the lab's hub, from nothing: the hub, Argo CD's definitions, the region's objects as
 * `components/registration` renders them, a Git repository behind a real server, and the controllers. For tests.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parse } from "yaml";
import { renderControlPlane } from "../../../components/registration/control-plane.ts";
import { type ApiAnswer, callApi } from "../hub/api.ts";
import { type Hub, startHub } from "../hub/index.ts";
import { settle } from "../settle.ts";
import { argocdManifests, type Toolchain } from "../toolchain/index.ts";
import { initRepository, pushAll } from "./checkout.ts";
import { type GitServer, startGitServer } from "./git-server.ts";
import { type ArgoCd, startArgoCd } from "./index.ts";

/** How long the controllers may take for one thing, in milliseconds: they retry a look that failed after 3 minutes. */
const SETTLE_TIMEOUT_MS = 240_000;
const POLL_MS = 200;
const DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/** Makes a controller look at Git now instead of at its next poll. */
const REFRESH_ANNOTATION = "argocd.argoproj.io/application-set-refresh";

/** An object with what the tests look at. */
export interface StoredObject {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly labels?: Record<string, string>;
    readonly annotations?: Record<string, string>;
    readonly ownerReferences?: readonly { readonly kind: string; readonly name: string }[];
  };
  readonly spec: Readonly<Record<string, unknown>>;
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
  };
}

/** The lab of one region. */
export class ControlPlaneLab {
  readonly namespace: string;
  readonly git: GitServer;
  /** Work tree of the repository that the server serves. */
  readonly checkout: string;
  readonly #directory: string;
  readonly #hub: Hub;
  readonly #argoCd: ArgoCd;
  readonly #kubeconfig: string;

  private constructor(directory: string, namespace: string, git: GitServer, hub: Hub, argoCd: ArgoCd) {
    this.#directory = directory;
    this.namespace = namespace;
    this.git = git;
    this.checkout = join(directory, "checkout");
    this.#hub = hub;
    this.#argoCd = argoCd;
    this.#kubeconfig = readFileSync(hub.kubeconfigPath, "utf8");
  }

  /**
   * Starts everything.
   * @param toolchain with `hub-apiserver`, `argocd`, `miniredis` and `kustomize`
   */
  static async start(
    toolchain: Toolchain,
    region: string,
    fleet: Parameters<typeof renderControlPlane>[2],
  ): Promise<ControlPlaneLab> {
    const directory = mkdtempSync(join(tmpdir(), "edge-fleet-argocd-"));
    mkdirSync(join(directory, "repositories"));
    const git = await startGitServer(join(directory, "repositories"));
    initRepository(directory);
    const hub = await startHub({ toolchain, directory: join(directory, "hub") });
    const kubeconfig = readFileSync(hub.kubeconfigPath, "utf8");
    const objects = renderControlPlane(region, `${git.url}/fleet.git`, fleet);
    const namespace = objects.namespace.metadata.name;
    await install(kubeconfig, objects);
    mkdirSync(join(directory, "argocd"));
    const argoCd = await startArgoCd({
      toolchain,
      directory: join(directory, "argocd"),
      kubeconfigPath: hub.kubeconfigPath,
      namespace,
    });
    return new ControlPlaneLab(directory, namespace, git, hub, argoCd);
  }

  /** Kubeconfig of an administrator of the hub. */
  get kubeconfigPath(): string {
    return this.#hub.kubeconfigPath;
  }

  /** Address of the control plane's Redis. */
  get redis(): string {
    return this.#argoCd.redis;
  }

  /** Commits the checkout and pushes it. @returns the commit's full SHA */
  push(message: string): string {
    return pushAll(this.checkout, message);
  }

  /** Creates an object, or replaces one of its name; again where a controller has changed it in between. */
  async apply(plural: string, object: { readonly metadata: { readonly name: string } }): Promise<void> {
    const path = `${this.#path(plural)}/${object.metadata.name}`;
    for (;;) {
      const { status, body } = await callApi(this.#kubeconfig, "GET", path);
      if (status === 404) {
        await expect(callApi(this.#kubeconfig, "POST", this.#path(plural), object));
        return;
      }
      const { resourceVersion } = (body as { metadata: { resourceVersion: string } }).metadata;
      const replacement = { ...object, metadata: { ...object.metadata, resourceVersion } };
      const answer = await callApi(this.#kubeconfig, "PUT", path, replacement);
      if (answer.status !== 409) {
        await expect(Promise.resolve(answer));
        return;
      }
    }
  }

  /**
   * Deletes an object, until it is gone.
   * @param propagationPolicy what becomes of what it owns. Default: as Pulumi, orphaned where the object asks for that, else
   *   deleted
   */
  async delete(plural: string, name: string, propagationPolicy?: "Orphan" | "Background"): Promise<void> {
    const path = `${this.#path(plural)}/${name}`;
    const { body } = await expect(callApi(this.#kubeconfig, "GET", path));
    const { annotations = {} } = (body as StoredObject).metadata;
    const orphan = annotations["pulumi.com/deletionPropagationPolicy"] === "orphan";
    const options = {
      kind: "DeleteOptions",
      apiVersion: "v1",
      propagationPolicy: propagationPolicy ?? (orphan ? "Orphan" : "Background"),
    };
    await expect(callApi(this.#kubeconfig, "DELETE", path, options));
    const gone = async () => (await callApi(this.#kubeconfig, "GET", path)).status;
    if ((await this.settle(gone, 404)) !== 404) throw new Error(`${path}: is not gone after it was deleted`);
  }

  /** Objects of the namespace, by name. */
  async list(plural: string): Promise<StoredObject[]> {
    const { body } = await expect(callApi(this.#kubeconfig, "GET", this.#path(plural)));
    const { items } = body as { items: StoredObject[] };
    return items.sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  }

  /** Makes the controller look at every ApplicationSet now. A look that fails leaves the annotation: it is renewed. */
  async refresh(): Promise<void> {
    for (const { metadata } of await this.list("applicationsets")) {
      const path = `${this.#path("applicationsets")}/${metadata.name}`;
      for (const value of [null, "true"]) {
        const patch = { metadata: { annotations: { [REFRESH_ANNOTATION]: value } } };
        await expect(callApi(this.#kubeconfig, "PATCH", path, patch));
      }
    }
  }

  /**
   * Waits until what is looked at equals what is wanted.
   * @returns the last look, for an assertion that shows the difference
   */
  settle(look: () => Promise<unknown>, wanted: unknown): Promise<unknown> {
    return settle(look, wanted, SETTLE_TIMEOUT_MS);
  }

  /** The end of the ApplicationSet controller's log, for a failure's message. */
  log(): string {
    return this.#argoCd.log().slice(-2000);
  }

  async stop(): Promise<void> {
    await this.#argoCd.stop();
    await this.#hub.stop();
    await this.git.stop();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #path(plural: string): string {
    const group = plural === "secrets" ? "/api/v1" : "/apis/argoproj.io/v1alpha1";
    return `${group}/namespaces/${this.namespace}/${plural}`;
  }
}

/** What a region's namespace holds before any device: Argo CD's definitions, its settings, the region's projects. */
async function install(kubeconfig: string, objects: ReturnType<typeof renderControlPlane>): Promise<void> {
  const crds = join((await argocdManifests()).directory, "crds");
  for (const file of readdirSync(crds).filter((name) => name.endsWith("-crd.yaml")))
    await expect(callApi(kubeconfig, "POST", DEFINITIONS, parse(readFileSync(join(crds, file), "utf8")) as object));
  await expect(callApi(kubeconfig, "POST", "/api/v1/namespaces", objects.namespace));
  const namespace = objects.namespace.metadata.name;
  const core = `/api/v1/namespaces/${namespace}`;
  const metadata = (name: string) => ({ name, labels: { "app.kubernetes.io/part-of": "argocd" } });
  for (const name of ["argocd-cm", "argocd-rbac-cm"])
    await expect(callApi(kubeconfig, "POST", `${core}/configmaps`, { metadata: metadata(name) }));
  const settings = { metadata: metadata("argocd-secret"), stringData: { "server.secretkey": "only-for-the-lab" } };
  await expect(callApi(kubeconfig, "POST", `${core}/secrets`, settings));
  const projects = `/apis/argoproj.io/v1alpha1/namespaces/${namespace}/appprojects`;
  await established(kubeconfig, projects);
  for (const project of [objects.project, objects.defaultProject, ...objects.workloadProjects])
    await expect(callApi(kubeconfig, "POST", projects, project));
}

/** A definition is served a moment after it was stored. */
async function established(kubeconfig: string, path: string): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    if ((await callApi(kubeconfig, "GET", path)).status === 200) return;
    await sleep(POLL_MS);
  }
  throw new Error(`${path}: is not served 20 s after its definition was stored`);
}

async function expect(answer: Promise<ApiAnswer>): Promise<ApiAnswer> {
  const { status, body } = await answer;
  if (status >= 300) throw new Error(`the API server answers ${status}: ${JSON.stringify(body)}`);
  return { status, body };
}
