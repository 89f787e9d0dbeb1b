/**
 * The ControlPlane component: one region's Argo CD on the hub, its projects and the account of its stack. Objects come
 * from `registration` and from the pinned manifests; this maps them to resources.
 */
import { randomBytes } from "node:crypto";
import * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { renderControlPlane } from "../registration/index.ts";
import type { HubArgs, RegionAccess } from "./args.ts";
import { SETTINGS_SECRET, selectControlPlane } from "./control-plane.ts";
import { renderKubeconfig } from "./kubeconfig.ts";

/** {@link HubArgs} for one region. */
export interface ControlPlaneArgs extends Omit<HubArgs, "regions"> {
  readonly region: string;
  /** Name of the cluster: a change of address or CA is then an update and not a replacement of everything. */
  readonly clusterIdentifier: string;
  /** Provider of the hub, for the namespace itself. */
  readonly provider: kubernetes.Provider;
}

/** One region's control plane. */
export class ControlPlane extends pulumi.ComponentResource {
  readonly access: RegionAccess;

  constructor(name: string, args: ControlPlaneArgs, opts?: pulumi.ComponentResourceOptions) {
    super("edge-fleet:index:ControlPlane", name, {}, opts);
    const objects = renderControlPlane(args.region, args.gitUrl, args.workloads);
    const namespace = objects.namespace.metadata.name;
    const child = { parent: this, provider: args.provider };
    const created = new kubernetes.core.v1.Namespace(`${name}-namespace`, objects.namespace, child);
    const inside = { ...child, dependsOn: [created] };
    this.#installArgoCd(name, args, namespace, created);
    const further = objects.workloadProjects.map((project) => [`project-${project.metadata.name}`, project] as const);
    for (const [suffix, project] of [
      ["project", objects.project] as const,
      ["default-project", objects.defaultProject] as const,
      ...further,
    ]) {
      new kubernetes.apiextensions.CustomResource(`${name}-${suffix}`, project, inside);
    }
    const account = new kubernetes.core.v1.ServiceAccount(`${name}-account`, objects.serviceAccount, inside);
    const role = new kubernetes.rbac.v1.Role(`${name}-role`, objects.role, inside);
    const binding = new kubernetes.rbac.v1.RoleBinding(`${name}-role-binding`, objects.roleBinding, inside);
    const token = new kubernetes.core.v1.Secret(`${name}-token`, objects.token, {
      ...child,
      dependsOn: [account, role, binding],
      additionalSecretOutputs: ["data"],
    });
    const kubeconfig = token.data.apply((data) =>
      renderKubeconfig(args.cluster, namespace, Buffer.from(data?.token ?? "", "base64").toString("utf8")),
    );
    this.access = { namespace, kubeconfig: pulumi.secret(kubeconfig) };
    this.registerOutputs();
  }

  /** The manifests carry no namespace, so each control plane has a provider whose default namespace is its own. */
  #installArgoCd(name: string, args: ControlPlaneArgs, namespace: string, created: pulumi.Resource): void {
    const { kubeconfig, clusterIdentifier } = args;
    const provider = new kubernetes.Provider(
      `${name}-cluster`,
      { kubeconfig, clusterIdentifier: `${clusterIdentifier}/${namespace}`, namespace },
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
    new kubernetes.yaml.v2.ConfigGroup(
      `${name}-argocd`,
      { objs: selectControlPlane(args.manifests.namespaceInstall), skipAwait: !args.awaitReady },
      { parent: this, provider, dependsOn: [settings] },
    );
  }
}
