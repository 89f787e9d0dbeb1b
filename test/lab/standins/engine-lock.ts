/** The engine in a lock of the tests: definitions and images that only the stand-ins take for some. No part of the product. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { FLUX_PARTS, fluxDefinitionFile } from "../../../components/gitops/engine/flux/settings.ts";
import type { ArtifactsLock } from "../../../components/inventory/schema.ts";
import { gitopsOf } from "../../unit/device/profile.ts";
import { argocdManifests, fluxDefinition } from "../toolchain/index.ts";
import { locked } from "./locked.ts";

/** Definitions in short: the stand-ins take any text for one. */
export const DEFINITIONS = ["application-crd.yaml", "appproject-crd.yaml"].map((name) => {
  const text = `# Stand-in of the lab for ${name} of Argo CD.\n`;
  return { text, file: locked(text, `http://127.0.0.1:9/${name}`) };
});

/** The real definitions that a device gets, which a real API server wants: each with what a lock says of it. */
export async function realDefinitions(): Promise<typeof DEFINITIONS> {
  const { directory } = await argocdManifests();
  return ["application-crd.yaml", "appproject-crd.yaml"].map((name) => {
    const text = readFileSync(join(directory, "crds", name), "utf8");
    return { text, file: locked(text, `http://127.0.0.1:9/${name}`) };
  });
}

/** Flux in a lock with its real definitions, which a real API server wants, and their texts. */
export async function realFlux(): Promise<{
  readonly flux: NonNullable<ArtifactsLock["flux"]>;
  readonly texts: string[];
}> {
  const texts: string[] = [];
  const release = async (part: keyof typeof FLUX_PARTS) => {
    const { name, kinds } = FLUX_PARTS[part];
    const files = kinds.map((kind) => fluxDefinitionFile(FLUX_PARTS[part], kind));
    const own = await Promise.all(files.map((file) => fluxDefinition(name, file)));
    texts.push(...own);
    const crds = own.map((text, index) => locked(text, `http://127.0.0.1:9/${files[index]}`));
    return { [gitopsOf("flux").flux[part]]: { crds, image: `lab.invalid/${name}:v1@sha256:${"c".repeat(64)}` } };
  };
  const flux = {
    sourceController: await release("sourceController"),
    kustomizeController: await release("kustomizeController"),
  };
  return { flux, texts };
}

/** Argo CD in a lock, for devices whose payload brings the engine: `Device.packed` pushes it. */
export const ENGINE: Pick<ArtifactsLock, "argocd"> = {
  argocd: {
    [gitopsOf("argocd").argocd.version]: {
      crds: DEFINITIONS.map(({ file }) => file),
      images: {
        argocd: `lab.invalid/argocd:v1@sha256:${"a".repeat(64)}`,
        redis: `lab.invalid/redis:v1@sha256:${"b".repeat(64)}`,
      },
    },
  },
};
