/**
 * The principals as resources of a region's control plane. None is protected: they go with the last device that has an
 * agent, and one of two goes with `gitops.agent.next`, both of which the inventory says; devices go on without them.
 */
import { generateKeyPair } from "node:crypto";
import { promisify } from "node:util";
import * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { principalObjects, TOKEN_KEY_SECRET } from "./index.ts";
import { meta } from "./object.ts";
import type { PrincipalPlan } from "./plan.ts";
import { type PrincipalSettings, principalName } from "./settings.ts";

/** Bits of the key that signs agents' tokens; each connection costs two signatures. */
const TOKEN_KEY_BITS = 2048;

/** The provider's condition on a Service whose load balancer leads somewhere. */
const HAS_ADDRESS = "jsonpath={.status.loadBalancer.ingress}";

/**
 * Installs the principals of a region.
 * @param name of the control plane
 * @param awaitReady wait until their load balancers have addresses; not until they run, as they do once the region is registered
 * @param options parent, provider and the namespace to wait for
 * @returns see `RegionAccess.principalAddresses`
 */
export function installPrincipals(
  name: string,
  { settings, secrets }: PrincipalPlan,
  awaitReady: boolean,
  options: pulumi.CustomResourceOptions,
): Record<string, pulumi.Output<string>> {
  const inside = { ...options, protect: false };
  const versions = new Map(settings.releases.map(({ version }) => [principalName(version), version]));
  const read = secrets.map((secret) => {
    const stringData = pulumi.secret(secret.stringData);
    return new kubernetes.core.v1.Secret(`${name}-${secret.metadata.name}`, { ...secret, stringData }, inside);
  });
  read.push(createTokenKey(name, settings, inside));
  const objects = principalObjects(settings);
  const isService = ({ kind, metadata }: (typeof objects)[number]) => kind === "Service" && versions.has(metadata.name);
  const dependsOn = [...[options.dependsOn ?? []].flat(), ...read] as pulumi.Resource[];
  new kubernetes.yaml.v2.ConfigGroup(
    `${name}-principal`,
    { objs: objects.filter((object) => !isService(object)), skipAwait: true },
    { ...inside, dependsOn },
  );
  const addresses = objects.filter(isService).map((object) => {
    const service = new kubernetes.core.v1.Service(
      `${name}-${object.metadata.name}`,
      serviceOf(object, awaitReady),
      inside,
    );
    return [versions.get(object.metadata.name), service.status.apply(addressOf)];
  });
  return settings.exposure.service === "LoadBalancer" ? Object.fromEntries(addresses) : {};
}

/** By itself the provider waits for pods behind a Service too. */
function serviceOf(object: object, awaitReady: boolean): kubernetes.types.input.core.v1.Service {
  const service = object as kubernetes.types.input.core.v1.Service & {
    metadata: { annotations?: object };
    spec: { type: string };
  };
  const waits = awaitReady && service.spec.type === "LoadBalancer";
  const wait = waits ? { "pulumi.com/waitFor": HAS_ADDRESS } : { "pulumi.com/skipAwait": "true" };
  return { ...service, metadata: { ...service.metadata, annotations: { ...service.metadata.annotations, ...wait } } };
}

function addressOf(status: kubernetes.types.output.core.v1.ServiceStatus | undefined): string {
  const [first] = status?.loadBalancer?.ingress ?? [];
  return first?.hostname ?? first?.ip ?? "";
}

/** Made once: what a later run makes is left out, and where the Secret is deleted the next run makes another. */
function createTokenKey(
  name: string,
  { namespace }: PrincipalSettings,
  inside: pulumi.CustomResourceOptions,
): kubernetes.core.v1.Secret {
  return new kubernetes.core.v1.Secret(
    `${name}-principal-token-key`,
    { metadata: meta(TOKEN_KEY_SECRET, namespace), stringData: { "jwt.key": pulumi.secret(makeTokenKey()) } },
    { ...inside, ignoreChanges: ["stringData", "data"] },
  );
}

async function makeTokenKey(): Promise<string> {
  const { privateKey } = await promisify(generateKeyPair)("rsa", { modulusLength: TOKEN_KEY_BITS });
  return privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}
