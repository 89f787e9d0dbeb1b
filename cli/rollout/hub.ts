/**
 * Reads the Applications of a region's control plane on the hub, page by page. A reader needs `list` on Applications in
 * the namespaces `argocd-<region>` and nothing else.
 */
import { type ApiAccess, callApi, readAccess } from "../../components/hub/api.ts";
import { UsageError } from "../exit.ts";
import type { ObservedApplication } from "./status.ts";

interface Page<T> {
  readonly items: readonly T[];
  readonly metadata?: { readonly continue?: string };
}

const PAGE = 100;

/**
 * The Applications in a namespace.
 * @param kubeconfig path of the file
 * @throws UsageError when the file is no kubeconfig, or the server does not let its user read them
 */
export async function listApplications(
  kubeconfig: string,
  namespaces: readonly string[],
): Promise<ObservedApplication[]> {
  const access = await openKubeconfig(kubeconfig);
  const applications: ObservedApplication[] = [];
  for (const namespace of namespaces) {
    // Only what is used is kept: the list of an Application's resources is most of its size.
    for await (const page of applicationPages<ObservedApplication>(access, namespace))
      for (const { metadata, status } of page)
        applications.push({
          metadata: { name: metadata.name, annotations: metadata.annotations ?? {} },
          ...(status === undefined ? {} : { status: pick(status) }),
        });
  }
  return applications;
}

/** The Applications of a namespace, page by page. @throws UsageError when the server does not let its user read them */
export async function* applicationPages<T>(access: ApiAccess, namespace: string): AsyncGenerator<readonly T[]> {
  let next: string | undefined;
  do {
    const query = new URLSearchParams({ limit: String(PAGE), ...(next === undefined ? {} : { continue: next }) });
    const path = `/apis/argoproj.io/v1alpha1/namespaces/${namespace}/applications?${query}`;
    const page = await getPage<T>(access, path, namespace);
    yield page.items;
    next = page.metadata?.continue || undefined;
  } while (next !== undefined);
}

function pick(status: NonNullable<ObservedApplication["status"]>): NonNullable<ObservedApplication["status"]> {
  const { sync, health, operationState, reconciledAt, history } = status;
  return {
    ...(sync === undefined ? {} : { sync }),
    ...(health === undefined ? {} : { health }),
    ...(operationState?.phase === undefined ? {} : { operationState: { phase: operationState.phase } }),
    ...(reconciledAt === undefined ? {} : { reconciledAt }),
    ...(history === undefined
      ? {}
      : { history: history.map(({ revision, deployedAt }) => ({ revision, deployedAt })) }),
  };
}

async function getPage<T>(access: ApiAccess, path: string, namespace: string): Promise<Page<T>> {
  const { status, text } = await callApi(access, { path });
  if (status === 200) return JSON.parse(text) as Page<T>;
  const what = `applications in namespace ${namespace} of ${access.server}`;
  if (status === 401 || status === 403)
    throw new UsageError(`the kubeconfig's user may not list ${what} (${status}) - use a user that may`);
  if (status === 404) throw new UsageError(`there are no ${what} - use the hub's kubeconfig`);
  throw new Error(`listing ${what} answers ${status} - look at the hub and run again`);
}

/** The account of a kubeconfig. @param path of the file. Default: those of every client @throws UsageError when it cannot be used */
export function openKubeconfig(path?: string): Promise<ApiAccess> {
  return readAccess(undefined, path === undefined ? undefined : [path]).catch(({ message }: Error) => {
    throw new UsageError(message);
  });
}
