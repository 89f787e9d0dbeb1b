/**
 * An Argo CD as a device has it, on an API server of its own: repo-server and application-controller, a Git repository
 * behind a real server, and the objects that a device gives them. Without nodes: what runs is for other tests. For tests.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { ARGO_CD_NAMESPACE } from "../../../components/gitops/labels.ts";
import { callApi } from "../hub/api.ts";
import { type Hub, startHub } from "../hub/index.ts";
import { settle } from "../settle.ts";
import { argocdManifests, type Toolchain } from "../toolchain/index.ts";
import { initRepository, pushAll, runGit } from "./checkout.ts";
import { type GitServer, startGitServer } from "./git-server.ts";
import { type ArgoCd, startArgoCd } from "./index.ts";

const SETTLE_TIMEOUT_MS = 90_000;
const DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/** Paths of the kinds that {@link DeviceArgoCd.apply} is given. */
const COLLECTIONS: Readonly<Record<string, string>> = {
  Application: `/apis/argoproj.io/v1alpha1/namespaces/${ARGO_CD_NAMESPACE}/applications`,
  AppProject: `/apis/argoproj.io/v1alpha1/namespaces/${ARGO_CD_NAMESPACE}/appprojects`,
};

/** The lab of one device's Argo CD. */
export class DeviceArgoCd {
  readonly git: GitServer;
  /** Work tree of the repository that the server serves as `fleet.git`. */
  readonly checkout: string;
  readonly #directory: string;
  readonly #cluster: Hub;
  readonly #kubeconfig: string;
  #argoCd: ArgoCd | undefined;

  private constructor(directory: string, git: GitServer, cluster: Hub) {
    this.#directory = directory;
    this.git = git;
    this.checkout = join(directory, "checkout");
    this.#cluster = cluster;
    this.#kubeconfig = readFileSync(cluster.kubeconfigPath, "utf8");
  }

  /** Starts everything. @param toolchain with `hub-apiserver`, `argocd`, `miniredis` and `kustomize` */
  static async start(toolchain: Toolchain): Promise<DeviceArgoCd> {
    const directory = mkdtempSync(join(tmpdir(), "edge-fleet-device-argocd-"));
    initRepository(directory);
    const git = await startGitServer(join(directory, "repositories"));
    const cluster = await startHub({ toolchain, directory: join(directory, "cluster") });
    const lab = new DeviceArgoCd(directory, git, cluster);
    await lab.#install();
    mkdirSync(join(directory, "argocd"));
    lab.#argoCd = await startArgoCd({
      toolchain,
      directory: join(directory, "argocd"),
      kubeconfigPath: cluster.kubeconfigPath,
      namespace: ARGO_CD_NAMESPACE,
      controller: "application",
    });
    return lab;
  }

  /** Commits the checkout and pushes it. @returns the commit's full SHA */
  push(message: string): string {
    return pushAll(this.checkout, message);
  }

  /** Runs git in the checkout. */
  run(args: readonly string[]): string {
    return runGit(this.checkout, args);
  }

  /** Creates objects, or replaces those of their names, as the program on a device does. */
  async apply(
    objects: readonly { readonly kind: string; readonly metadata: { readonly name: string } }[],
  ): Promise<void> {
    for (const object of objects) {
      const collection = COLLECTIONS[object.kind] ?? "";
      const path = `${collection}/${object.metadata.name}`;
      for (let status = 409; status === 409; ) {
        const { body, status: found } = await this.call("GET", path);
        const { resourceVersion } = found === 404 ? {} : (body as { metadata: { resourceVersion?: string } }).metadata;
        const wanted = { ...object, metadata: { ...object.metadata, ...(resourceVersion && { resourceVersion }) } };
        const answer = await this.call(found === 404 ? "POST" : "PUT", found === 404 ? collection : path, wanted);
        ({ status } = answer);
        if (status >= 300 && status !== 409) throw new Error(`${path}: ${JSON.stringify(answer.body)}`);
      }
    }
  }

  /** One request to the device's API. */
  call(method: Parameters<typeof callApi>[1], path: string, object?: object): ReturnType<typeof callApi> {
    return callApi(this.#kubeconfig, method, path, object);
  }

  /** One of its Applications; undefined when there is none of that name. */
  async application(name: string): Promise<Application | undefined> {
    const { status, body } = await this.call("GET", `${COLLECTIONS.Application}/${name}`);
    return status === 404 ? undefined : (body as Application);
  }

  /** Names of its Applications, in order. */
  async applications(): Promise<string[]> {
    const { body } = await this.call("GET", COLLECTIONS.Application ?? "");
    return (body as { items: Application[] }).items.map(({ metadata }) => metadata.name).sort();
  }

  /** Makes the controller look at Git now. @param name of an Application */
  async refresh(name: string): Promise<void> {
    const annotations = { "argocd.argoproj.io/refresh": "normal" };
    await this.call("PATCH", `${COLLECTIONS.Application}/${name}`, { metadata: { annotations } });
  }

  /** Waits until what is looked at equals what is wanted. @returns the last look, for an assertion */
  settle<T>(look: () => Promise<T>, wanted: T, timeoutMs = SETTLE_TIMEOUT_MS): Promise<T> {
    return settle(look, wanted, timeoutMs);
  }

  /** The end of the application-controller's log, for a failure's message. */
  log(): string {
    return this.#argoCd?.log().slice(-3000) ?? "";
  }

  async stop(): Promise<void> {
    await this.#argoCd?.stop();
    await this.#cluster.stop();
    await this.git.stop();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #install(): Promise<void> {
    const crds = join((await argocdManifests()).directory, "crds");
    for (const file of readdirSync(crds).filter((name) => /^app(lication|project)-crd\.yaml$/.test(name)))
      await this.#create(DEFINITIONS, parse(readFileSync(join(crds, file), "utf8")) as object);
    await this.#create("/api/v1/namespaces", { metadata: { name: ARGO_CD_NAMESPACE } });
    const core = `/api/v1/namespaces/${ARGO_CD_NAMESPACE}`;
    const metadata = (name: string) => ({ name, labels: { "app.kubernetes.io/part-of": "argocd" } });
    await this.#create(`${core}/configmaps`, { metadata: metadata("argocd-cm") });
    const secret = { metadata: metadata("argocd-secret"), stringData: { "server.secretkey": "only-for-the-lab" } };
    await this.#create(`${core}/secrets`, secret);
    for (const path of Object.values(COLLECTIONS))
      await this.settle(async () => (await this.call("GET", path)).status, 200);
  }

  async #create(path: string, object: object): Promise<void> {
    const { status, body } = await this.call("POST", path, object);
    if (status >= 300) throw new Error(`${path}: ${JSON.stringify(body)}`);
  }
}

/** An Application with what the tests look at. */
export interface Application {
  readonly metadata: { readonly name: string; readonly uid: string };
  readonly spec: { readonly source: { readonly targetRevision: string } };
  readonly status?: {
    readonly sync?: { readonly status: string; readonly revision?: string };
    readonly conditions?: readonly { readonly type: string; readonly message: string }[];
  };
}
