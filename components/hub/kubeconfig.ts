/**
 * Kubeconfigs: which cluster the operator's one points to, and one for a region's account that holds nothing but that
 * account's token. Pure but for reading the file.
 */
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { parse, stringify } from "yaml";

/** Where a cluster is and how to know it. */
export interface Cluster {
  /** API server URL. */
  readonly server: string;
  /** CA bundle, base64 of PEM. */
  readonly certificateAuthorityData: string;
}

interface KubeconfigFile {
  readonly "current-context"?: string;
  readonly contexts?: readonly { readonly name: string; readonly context: { readonly cluster: string } }[];
  readonly clusters?: readonly {
    readonly name: string;
    readonly cluster: {
      readonly server?: string;
      readonly "certificate-authority-data"?: string;
      readonly "certificate-authority"?: string;
    };
  }[];
}

/** The kubeconfig to use: the configured path, else the first of $KUBECONFIG, else ~/.kube/config. */
export function kubeconfigPath(configured: string | undefined): string {
  const fromEnvironment = process.env.KUBECONFIG?.split(delimiter)[0];
  return resolve(configured || fromEnvironment || join(homedir(), ".kube", "config"));
}

/**
 * The cluster of a kubeconfig's current context.
 * @throws Error when the file cannot be read or has no current context, server or CA
 */
export function readCluster(path: string): Cluster {
  const file = parse(readFileSync(path, "utf8")) as KubeconfigFile;
  const context = file.contexts?.find(({ name }) => name === file["current-context"]);
  const cluster = file.clusters?.find(({ name }) => name === context?.context.cluster)?.cluster;
  const caFile = cluster?.["certificate-authority"];
  const certificateAuthorityData =
    cluster?.["certificate-authority-data"] ??
    (caFile === undefined ? undefined : readFileSync(resolve(dirname(path), caFile)).toString("base64"));
  if (cluster?.server === undefined || certificateAuthorityData === undefined) {
    throw new Error(
      `${path}: its current context has no server or no CA - set the context with kubectl config use-context`,
    );
  }
  return { server: cluster.server, certificateAuthorityData };
}

/** A kubeconfig for one ServiceAccount. The result holds the token: keep it secret. */
export function renderKubeconfig(cluster: Cluster, namespace: string, token: string): string {
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": namespace,
    clusters: [
      {
        name: "hub",
        cluster: { server: cluster.server, "certificate-authority-data": cluster.certificateAuthorityData },
      },
    ],
    users: [{ name: namespace, user: { token } }],
    contexts: [{ name: namespace, context: { cluster: "hub", user: namespace, namespace } }],
  });
}
