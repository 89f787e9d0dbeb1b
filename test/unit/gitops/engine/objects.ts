/** The engine's objects as a test reads them: parsed from the text that a device gets. */
import { parseAllDocuments } from "yaml";
import { renderEngine } from "../../../../components/gitops/engine/argocd/index.ts";
import type { EngineSettings } from "../../../../components/gitops/engine/argocd/settings.ts";

/** A model of 4 GiB with the default interval; the digests are of no real image. */
export const SETTINGS: EngineSettings = {
  images: {
    argocd: `quay.io/argoproj/argocd:v3.2.11@sha256:${"c".repeat(64)}`,
    redis: `public.ecr.aws/docker/library/redis:8.2.2-alpine@sha256:${"d".repeat(64)}`,
  },
  memoryMiB: 4096,
  reconcileMinutes: 10,
};

/** A container, as far as tests look at it. */
export interface Container {
  readonly name: string;
  readonly image: string;
  readonly imagePullPolicy: string;
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string; readonly value?: string }[];
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
  readonly resources: { readonly requests: Record<string, string>; readonly limits: Record<string, string> };
}

/** A pod's template. */
export interface Template {
  readonly metadata: { readonly labels: Readonly<Record<string, string>> };
  readonly spec: Readonly<Record<string, unknown>> & { readonly containers: readonly Container[] };
}

/** An object. */
export interface ParsedObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: Readonly<Record<string, unknown>>;
}

/** Every object of the engine. */
export function parsedEngine(settings: Partial<EngineSettings> = {}): ParsedObject[] {
  const documents = parseAllDocuments(renderEngine({ ...SETTINGS, ...settings }));
  return documents.map((document) => document.toJS() as ParsedObject);
}

/** The pods' templates by name of their workload. */
export function templates(settings: Partial<EngineSettings> = {}): Map<string, Template> {
  return new Map(
    parsedEngine(settings).flatMap(({ metadata, spec }) =>
      spec !== undefined && "template" in spec ? [[metadata.name, spec.template as Template] as const] : [],
    ),
  );
}

/** The one container of a workload. */
export function containerOf(workload: string, settings: Partial<EngineSettings> = {}): Container {
  const [container] = templates(settings).get(workload)?.spec.containers ?? [];
  if (container === undefined) throw new Error(`no workload ${workload}`);
  return container;
}
