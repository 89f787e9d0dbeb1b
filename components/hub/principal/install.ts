/**
 * The principal as resources of a region's control plane. None is protected: the principal goes with the last device that
 * has an agent, which the inventory says, and devices go on without it.
 */
import { generateKeyPair } from "node:crypto";
import { promisify } from "node:util";
import * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { principalObjects, TOKEN_KEY_SECRET } from "./index.ts";
import { meta } from "./object.ts";
import type { PrincipalPlan } from "./plan.ts";
import { PRINCIPAL, type PrincipalSettings } from "./settings.ts";

/** Bits of the key that signs agents' tokens; each connection costs two signatures. */
const TOKEN_KEY_BITS = 2048;

/** The provider's condition on a Service whose load balancer leads somewhere. */
const HAS_ADDRESS = "jsonpath={.status.loadBalancer.ingress}";

/**
 * Installs a principal.
 * @param name of the control plane
 * @param awaitReady wait until its load balancer has an address; not until it runs, as it does once its region is registered
 * @param options parent, provider and the namespace to wait for
 * @returns see `RegionAccess.principalAddress`
 */
export function installPrincipal(
  name: string,
  { settings, secrets }: PrincipalPlan,
  awaitReady: boolean,
  options: pulumi.CustomResourceOptions,
): pulumi.Output<string> | undefined {
  const inside = { ...options, protect: false };
  const read = Object.entries(secrets).map(([role, secret]) => {
    const stringData = pulumi.secret(secret.stringData);
    return new kubernetes.core.v1.Secret(`${name}-principal-${role}`, { ...secret, stringData }, inside);
  });
  read.push(createTokenKey(name, settings, inside));
  const objects = principalObjects(settings);
  const isService = ({ kind, metadata }: (typeof objects)[number]) => kind === "Service" && metadata.name === PRINCIPAL;
  const dependsOn = [...[options.dependsOn ?? []].flat(), ...read] as pulumi.Resource[];
  new kubernetes.yaml.v2.ConfigGroup(
    `${name}-principal`,
    { objs: objects.filter((object) => !isService(object)), skipAwait: true },
    { ...inside, dependsOn },
  );
  const service = new kubernetes.core.v1.Service(
    `${name}-principal-service`,
    serviceOf(objects.find(isService), awaitReady),
    inside,
  );
  return settings.exposure.service === "LoadBalancer" ? service.status.apply(addressOf) : undefined;
}

/** By itself the provider waits for pods behind a Service too. */
function serviceOf(object: object | undefined, awaitReady: boolean): kubernetes.types.input.core.v1.Service {
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
