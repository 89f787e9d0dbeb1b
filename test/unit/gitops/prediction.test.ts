/** The prediction against an interpretation of the sets over plain objects; the real controller judges both end to end. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type ApplicationInput, renderApplicationSets } from "../../../components/gitops/applicationset.ts";
import type { ApplicationSet, ClusterGenerator, LabelSelector } from "../../../components/gitops/objects.ts";
import { renderTree } from "../../../components/gitops/tree.ts";
import type { Pins, TreeDevice, TreeInput } from "../../../components/gitops/tree-input.ts";
import { type ClusterSecret, renderClusterSecret } from "../../../components/registration/cluster-secret.ts";
import { assertGolden } from "../../golden.ts";
import { isOpen, predictApplications } from "../../prediction.ts";
import { arbitraryFleet, EXAMPLE, FULL_EXAMPLE } from "./fleet.ts";

const REVISIONS = new Map([
  ["canary", "a".repeat(40)],
  ["early", "b".repeat(40)],
]);
const PINS: Pins = new Map([["workloads", REVISIONS]]);

/** A revision for some rings of every workload; "workloads" is the overlays. */
const pinned = (fleet: TreeInput) =>
  fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }).map((coins): Pins => {
    const names = ["workloads", ...(fleet.workloads ?? []).map(({ name }) => name)];
    const revisions = (offset: number) =>
      fleet.rings.flatMap((ring, index): [string, string][] =>
        coins[offset * 4 + index] ? [[ring, `${offset}${index}`.padStart(40, "0")]] : [],
      );
    return new Map(names.map((name, offset) => [name, new Map(revisions(offset))]));
  });

test("the prediction is what the sets' generators and templates yield over the cluster Secrets", () => {
  const cases = arbitraryFleet.chain((fleet) => fc.tuple(fc.constant(fleet), pinned(fleet), fc.boolean()));
  fc.assert(
    fc.property(cases, ([fleet, revisions, divided]) => {
      const input: ApplicationInput & TreeInput = { ...fleet, ...(divided ? { statusLimitBytes: 1200 } : {}) };
      for (const region of new Set(fleet.devices.map((device) => device.region))) {
        const predicted = predictApplications(region, input, revisions);
        const seen = predicted.map(({ name, path, revision, cluster, set }) => ({
          name,
          path,
          revision,
          cluster,
          set,
        }));
        const sets = renderApplicationSets(region, input);
        assert.deepEqual(byName(seen), byName(interpret(sets, secretsOf(fleet), revisions, fleet)));
      }
    }),
  );
});

test("every predicted path is in the tree, and each device with an agent and a pinned ring has one overlay", () => {
  fc.assert(
    fc.property(arbitraryFleet, (fleet) => {
      const tree = renderTree(fleet);
      const revisions = new Map([["workloads", new Map(fleet.rings.map((ring) => [ring, "c".repeat(40)]))]]);
      const regions = [...new Set(fleet.devices.map((device) => device.region))];
      const predicted = regions
        .flatMap((region) => predictApplications(region, fleet, revisions))
        .filter(({ workload }) => workload === "workloads");
      const withAgent = fleet.devices.filter(({ engine }) => engine === "argocd-agent");
      assert.deepEqual(predicted.map(({ cluster }) => cluster).sort(), withAgent.map(({ id }) => id).sort());
      for (const { path } of predicted)
        assert.ok(tree.has(`${path.slice("fleet/".length)}/kustomization.yaml`), `${path} has no leaf`);
      const reached = new Set(predicted.map(({ path }) => path));
      const own = new Set(withAgent.map(({ region, model }) => `${region}/${model}`));
      assert.equal(reached.size, own.size, "no leaf of a device with an agent is unreachable");
    }),
  );
});

test("the predicted objects of the full example are the golden ones", () => {
  const pins = new Map([
    ["workloads", REVISIONS],
    ["telemetry", REVISIONS],
    ["vision", REVISIONS],
  ]);
  const predicted = ["osaka", "tokyo"].flatMap((region) => predictApplications(region, FULL_EXAMPLE, pins));
  assertGolden("gitops/predicted-applications.json", `${JSON.stringify(predicted, null, 2)}\n`);
});

test("a ring without a revision deploys nothing, and a device that pulls without an agent needs no Application", () => {
  const names = predictApplications("tokyo", EXAMPLE, PINS).map(({ name }) => name);
  assert.deepEqual(names, ["tokyo-0001-workloads", "tokyo-0002-workloads"]);
  assert.deepEqual(predictApplications("tokyo", EXAMPLE, new Map()), []);
});

test("at a moment, only devices whose windows are open change", () => {
  const night = new Date("2026-03-02T17:00:00Z");
  const names = (at: Date) => predictApplications("tokyo", FULL_EXAMPLE, PINS, { at }).map(({ name }) => name);
  assert.deepEqual(names(night), ["tokyo-0001-workloads", "tokyo-0002-workloads"]);
  assert.deepEqual(names(new Date("2026-03-02T03:00:00Z")), []);
  const osaka = predictApplications("osaka", FULL_EXAMPLE, PINS, { at: night });
  assert.ok(osaka.length > 0, "devices without windows change at any time");
  for (const { windows } of FULL_EXAMPLE.devices.filter(({ region }) => region === "tokyo"))
    assert.ok(windows && isOpen(windows, night));
});

test("the order of devices does not change the prediction", () => {
  fc.assert(
    fc.property(arbitraryFleet, (fleet) => {
      const revisions = new Map([["workloads", new Map(fleet.rings.map((ring) => [ring, "d".repeat(40)]))]]);
      const other = { ...fleet, devices: [...fleet.devices].reverse() };
      for (const region of new Set(fleet.devices.map((device) => device.region)))
        assert.deepEqual(predictApplications(region, other, revisions), predictApplications(region, fleet, revisions));
    }),
    { numRuns: 50 },
  );
});

test("names stay within Kubernetes' limits at the longest id and region", () => {
  const device: TreeDevice = {
    id: "d".repeat(53),
    region: "r".repeat(30),
    model: "rpi4-4g",
    ring: "canary",
    engine: "argocd-agent",
  };
  const [application] = predictApplications(device.region, { ...EXAMPLE, devices: [device] }, PINS);
  assert.equal(application?.name.length, 63);
  assert.equal(application?.application.metadata.namespace.length, 37);
});

interface Yielded {
  readonly name: string;
  readonly path: string;
  readonly revision: string;
  readonly cluster: string;
  readonly set: string;
}

function byName(list: readonly Yielded[]): Yielded[] {
  return [...list].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function secretsOf({ devices }: TreeInput): ClusterSecret[] {
  return devices.map((device) => {
    const secret = renderClusterSecret({ ...device, labels: {}, gitops: { engine: device.engine } });
    // The windows of a profile become the group's name; here the group is at hand already.
    const labels = { ...secret.metadata.labels, "edge-fleet.dev/window": device.windows?.name ?? "always" };
    return { ...secret, metadata: { ...secret.metadata, labels } };
  });
}

/** The controller's part of the sets that edge-fleet uses, with every window open: ring files x clusters. */
function interpret(
  sets: readonly ApplicationSet[],
  secrets: readonly ClusterSecret[],
  revisions: Pins,
  { rings, workloads = [] }: TreeInput,
): Yielded[] {
  const files = new Map<string, { ring: string; revision: string }>();
  for (const name of ["workloads", ...workloads.map((workload) => workload.name)])
    for (const ring of rings) {
      const revision = revisions.get(name)?.get(ring);
      if (revision !== undefined)
        files.set(`fleet/rings/${name === "workloads" ? "" : `${name}/`}${ring}.yaml`, { ring, revision });
    }
  return sets.flatMap((set) => {
    const [git, clusters] = set.spec.generators[0]?.matrix.generators ?? [];
    assert.ok(git !== undefined && "git" in git && clusters !== undefined && "clusters" in clusters);
    return git.git.files.flatMap(({ path }) => {
      const file = files.get(path);
      return file === undefined ? [] : stampAll(set, clusters, secrets, file);
    });
  });
}

function stampAll(
  set: ApplicationSet,
  { clusters }: ClusterGenerator,
  secrets: readonly ClusterSecret[],
  file: { readonly ring: string; readonly revision: string },
): Yielded[] {
  return secrets
    .filter(({ metadata }) => metadata.namespace === set.metadata.namespace)
    .filter(({ metadata }) => matches(clusters.selector, metadata.labels, file.ring))
    .map((secret) => stamp(set, secret, file));
}

function matches(selector: LabelSelector, labels: Readonly<Record<string, string>>, ring: string): boolean {
  const openName = (value: string) => /\}\}(\w+)\{\{ else \}\}/.exec(value)?.[1] ?? value;
  return (
    Object.entries(selector.matchLabels ?? {}).every(
      ([key, value]) => labels[key] === value.replace("{{.ring}}", ring),
    ) &&
    (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
      assert.ok(operator === "Exists" || operator === "In");
      return key in labels && (operator === "Exists" || values.map(openName).includes(labels[key] ?? ""));
    })
  );
}

function stamp(set: ApplicationSet, secret: ClusterSecret, file: { ring: string; revision: string }): Yielded {
  const { name } = secret.stringData;
  const parameters: Readonly<Record<string, string>> = { ...file, name, nameNormalized: name };
  const fill = (template: string) =>
    template
      .replace(/\{\{index \.metadata\.labels "([^"]+)"\}\}/g, (_, key: string) => secret.metadata.labels[key] ?? "")
      .replace(/\{\{\.(\w+)\}\}/g, (_, key: string) => {
        const value = parameters[key];
        assert.ok(value !== undefined, `missingkey=error: ${key}`);
        return value;
      });
  const { metadata, spec } = set.spec.template;
  return {
    name: fill(metadata.name),
    path: fill(spec.source.path),
    revision: fill(spec.source.targetRevision),
    cluster: fill(spec.destination.name ?? ""),
    set: set.metadata.name,
  };
}
