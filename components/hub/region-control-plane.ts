/**
 * The ControlPlane component: one region's Argo CD on the hub, its projects and the account of its stack. Objects come
 * from `registration` and from the pinned manifests; this maps them to resources.
 */
import { randomBytes } from "node:crypto";
import * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { type ControlPlane as ControlPlaneObjects, renderControlPlane } from "../registration/index.ts";
import type { HubArgs, HubRegion, RegionAccess } from "./args.ts";
import { hubProvider } from "./cluster.ts";
import { SETTINGS_SECRET, selectControlPlane } from "./control-plane.ts";
import { withGitTrust } from "./git.ts";
import { renderKubeconfig } from "./kubeconfig.ts";
import type { ManifestObject } from "./manifests.ts";
import { withMetrics } from "./metrics.ts";
import { installPrincipals } from "./principal/install.ts";
import { serverOfRegion, serverSecrets } from "./server.ts";

/** {@link HubArgs} for one region. */
export interface ControlPlaneArgs extends Omit<HubArgs, "regions">, HubRegion {
  readonly region: string;
  /** Provider of the hub, for the namespace itself. */
  readonly provider: kubernetes.Provider;
}

type Objects = ControlPlaneObjects<pulumi.Input<string>>;

/** One region's control plane. */
export class ControlPlane extends pulumi.ComponentResource {
  readonly access: RegionAccess;

  constructor(name: string, args: ControlPlaneArgs, opts?: pulumi.ComponentResourceOptions) {
    const { removed = false } = args;
    super("edge-fleet:index:ControlPlane", name, {}, { protect: !removed, ...opts });
    const objects = renderControlPlane(args.region, args.gitUrl, args, args.tokenGeneration);
    const namespace = objects.namespace.metadata.name;
    const child = { parent: this, provider: args.provider };
    const created = new kubernetes.core.v1.Namespace(`${name}-namespace`, objects.namespace, child);
    this.#installArgoCd(name, args, namespace, created);
    for (const [index, secret] of (args.git?.credentials ?? []).entries())
      new kubernetes.core.v1.Secret(
        index === 0 ? `${name}-git` : `${name}-git-${index + 1}`,
        { metadata: { ...secret.metadata }, stringData: pulumi.secret({ ...secret.stringData }) },
        { ...child, dependsOn: [created], protect: false },
      );
    this.#createProjects(name, objects, { ...child, dependsOn: [created] });
    const token = this.#createAccount(name, objects, { ...child, dependsOn: [created] });
    const { uid, server, certificateAuthorityData } = args.cluster;
    const kubeconfig = pulumi
      .all([token.data, uid, server, certificateAuthorityData] as const)
      .apply(([data, id, url, authority]) =>
        renderKubeconfig({ server: url, certificateAuthorityData: authority }, id, namespace, tokenOf(data)),
      );
    const principalAddresses =
      args.principal === undefined
        ? {}
        : installPrincipals(name, args.principal, args.awaitReady !== false, { ...child, dependsOn: [created] });
    this.access = { namespace, kubeconfig: pulumi.secret(kubeconfig), principalAddresses };
    this.registerOutputs({ region: args.region, namespace, removed });
  }

  /** The manifests carry no namespace, so each control plane has a provider whose default namespace is its own. */
  #installArgoCd(name: string, args: ControlPlaneArgs, namespace: string, created: pulumi.Resource): void {
    const provider = hubProvider(
      `${name}-cluster`,
      args.cluster,
      { namespace },
      { parent: this, dependsOn: [created] },
    );
    const settings = new kubernetes.core.v1.Secret(
      `${name}-settings`,
      {
        metadata: { name: SETTINGS_SECRET, namespace, labels: { "app.kubernetes.io/part-of": "argocd" } },
        stringData: { "server.secretkey": pulumi.secret(randomBytes(32).toString("base64")) },
      },
      { parent: this, provider, ignoreChanges: ["stringData", "data"] },
    );
    const server = args.server === undefined ? undefined : serverOfRegion(args.server, args.region);
    const read =
      server === undefined
        ? []
        : serverSecrets(server).map(({ role, stringData, ...secret }) => {
            const text = pulumi.secret(stringData);
            const options = { parent: this, provider, protect: false };
            return new kubernetes.core.v1.Secret(`${name}-server-${role}`, { ...secret, stringData: text }, options);
          });
    const selected = withGitTrust(selectControlPlane(args.manifests, { ...args, server }), args.git);
    const { core, optional } = divide(measured(selected, args, namespace), args);
    const group = (suffix: string, objs: ManifestObject[], protect: pulumi.ResourceOptions) =>
      new kubernetes.yaml.v2.ConfigGroup(
        `${name}-${suffix}`,
        { objs, skipAwait: args.awaitReady === false },
        { parent: this, provider, dependsOn: [settings, ...read], ...protect },
      );
    group("argocd", core, {});
    if (optional.length > 0) group("options", optional, { protect: false });
  }

  /** Those of workloads are not protected: a workload may leave fleet.yaml, and what it has deployed stays. */
  #createProjects(
    name: string,
    { project, defaultProject, workloadProjects }: Objects,
    inside: pulumi.CustomResourceOptions,
  ): void {
    new kubernetes.apiextensions.CustomResource(`${name}-project`, project, inside);
    new kubernetes.apiextensions.CustomResource(`${name}-default-project`, defaultProject, inside);
    for (const workload of workloadProjects) {
      const suffix = `project-${workload.metadata.name}`;
      new kubernetes.apiextensions.CustomResource(`${name}-${suffix}`, workload, { ...inside, protect: false });
    }
  }

  /** The token is not protected: a new one replaces it, and its deletion is what ends it. */
  #createAccount(name: string, objects: Objects, inside: pulumi.CustomResourceOptions): kubernetes.core.v1.Secret {
    const account = new kubernetes.core.v1.ServiceAccount(`${name}-account`, objects.serviceAccount, inside);
    const role = new kubernetes.rbac.v1.Role(`${name}-role`, objects.role, inside);
    const binding = new kubernetes.rbac.v1.RoleBinding(`${name}-role-binding`, objects.roleBinding, inside);
    return new kubernetes.core.v1.Secret(tokenName(name), objects.token, {
      ...inside,
      dependsOn: [account, role, binding],
      additionalSecretOutputs: ["data"],
      protect: false,
    });
  }
}

function measured(objects: readonly ManifestObject[], args: ControlPlaneArgs, namespace: string): ManifestObject[] {
  const { metrics, region, principal, highAvailability = false } = args;
  if (metrics === undefined) return [...objects];
  return withMetrics(objects, metrics, { region, namespace, principal: principal?.settings, highAvailability });
}

/** What a control plane always has, and what may go when fleet.yaml no longer wants it: that is not protected. */
function divide(
  objects: readonly ManifestObject[],
  { manifests }: Pick<HubArgs, "manifests">,
): Readonly<Record<"core" | "optional", ManifestObject[]>> {
  const keyOf = ({ kind, metadata }: ManifestObject) => `${kind}/${metadata.name}`;
  const always = new Set(selectControlPlane(manifests).map(keyOf));
  return {
    core: objects.filter((object) => always.has(keyOf(object))),
    optional: objects.filter((object) => !always.has(keyOf(object))),
  };
}

/** Name of the resource that is the token of a control plane's account. @param name of the control plane's component */
export function tokenName(name: string): string {
  return `${name}-token`;
}

function tokenOf(data: Readonly<Record<string, string>> | undefined): string {
  return Buffer.from(data?.token ?? "", "base64").toString("utf8");
}
