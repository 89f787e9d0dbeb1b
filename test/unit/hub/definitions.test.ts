/** Which of another Argo CD's definitions a hub takes, and which it leaves alone: against the real ones of v3.2.11. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import {
  type FoundDefinition,
  markDefinitions,
  refuseForeign,
  refuseOlder,
} from "../../../components/hub/definitions.ts";
import type { ManifestObject } from "../../../components/hub/manifests.ts";
import { argocdManifests } from "../../lab/toolchain/index.ts";

const { directory } = await argocdManifests();
const wanted = ["application", "applicationset", "appproject"].map(
  (kind) => parse(readFileSync(join(directory, `crds/${kind}-crd.yaml`), "utf8")) as ManifestObject,
);

interface Spec {
  versions: { name: string; served: boolean; schema: { openAPIV3Schema: { properties: Record<string, object> } } }[];
}

/** The cluster's own, as they are but for a change. */
function found(change: (spec: Spec) => void, about: Partial<FoundDefinition> = {}): FoundDefinition[] {
  return wanted.map(({ metadata, spec }) => {
    const own = structuredClone(spec) as Spec;
    if (metadata.name === "appprojects.argoproj.io") change(own);
    return { name: metadata.name, labels: {}, annotations: {}, ...about, spec: own };
  });
}

function messageOf(definitions: readonly FoundDefinition[]): string {
  try {
    refuseOlder(definitions, wanted);
    return "";
  } catch (error) {
    return (error as Error).message;
  }
}

const noSpec = ({ versions }: Spec) => delete versions[0]?.schema.openAPIV3Schema.properties.spec;

test("definitions of the same release are taken, and newer ones that have more", () => {
  assert.equal(messageOf(found(() => {})), "");
  const newer = found(({ versions }) =>
    Object.assign(versions[0]?.schema.openAPIV3Schema.properties ?? {}, { more: {} }),
  );
  assert.equal(messageOf(newer), "");
});

test("definitions that lack fields are refused with whose they are, what they lack, and what to do", () => {
  const annotations = { "meta.helm.sh/release-name": "argo", "meta.helm.sh/release-namespace": "tools" };
  const message = messageOf(found(noSpec, { annotations, labels: { "helm.sh/chart": "argo-cd-7.0.0" } }));
  assert.match(message, /^hub\.definitions: adopt, but the cluster's are older than those of the locked release:$/m);
  assert.match(
    message,
    /^appprojects\.argoproj\.io \(Helm release tools\/argo, helm\.sh\/chart=argo-cd-7\.0\.0\) lacks v1alpha1\.spec, v1alpha1\.spec\.\S+, v1alpha1\.spec\.\S+ and \d+ more$/m,
  );
  assert.match(message, /upgrade the Argo CD that they are of, or lock its release/);
  assert.doesNotMatch(message, /applications\.argoproj\.io|applicationsets/);
});

test("definitions of which nobody says that they are theirs are refused as such", () => {
  assert.match(messageOf(found(noSpec)), /appprojects\.argoproj\.io \(nobody says that it is theirs\) lacks/);
});

test("a version that is not served counts as one that is not there", () => {
  const unserved = ({ versions }: Spec) => {
    for (const version of versions) version.served = false;
  };
  assert.match(messageOf(found(unserved)), /appprojects\.argoproj\.io .* lacks v1alpha1, /);
});

test("a hub that installs knows its own definitions, and refuses those of others with whose they are and the fix", () => {
  const own = markDefinitions(wanted, "acme").map(({ metadata: { name, labels = {} } }) => ({
    name,
    labels,
    annotations: {},
  }));
  assert.doesNotThrow(() => refuseForeign(own, "acme"));
  assert.doesNotThrow(() => refuseForeign([], "acme"));
  const [first, ...others] = own;
  const helm = { "meta.helm.sh/release-name": "argo", "meta.helm.sh/release-namespace": "tools" };
  const plain = { name: "applications.argoproj.io", labels: {}, annotations: helm };
  assert.throws(() => refuseForeign([plain, ...others], "acme"), {
    message:
      "hub.definitions: install, but the cluster has definitions that this hub has not made:\n" +
      "applications.argoproj.io (Helm release tools/argo)\n" +
      "write hub.definitions: adopt into fleet.yaml, which leaves them to the Argo CD that they are of",
  });
  assert.throws(() => refuseForeign([{ ...plain, annotations: {} }], "acme"), /\(nobody says that it is theirs\)/);
  assert.throws(() => refuseForeign(first === undefined ? [] : [first], "other"), /\(edge-fleet\.dev\/fleet=acme\)/);
});

test("a mark leaves what upstream's definitions say of themselves", () => {
  for (const [index, { metadata }] of markDefinitions(wanted, "acme").entries())
    assert.deepEqual(metadata.labels, { ...wanted[index]?.metadata.labels, "edge-fleet.dev/fleet": "acme" });
});
