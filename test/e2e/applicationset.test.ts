/**
 * Argo CD's own ApplicationSet controller judges edge-fleet's ApplicationSets and its prediction: real repo-server, real
 * controller, a real Git server, on the lab's hub. What appears on the hub must be what was predicted, field by field.
 */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { ApplicationInput } from "../../components/gitops/applicationset.ts";
import { renderApplicationSets, ringPath } from "../../components/gitops/applicationset.ts";
import { renderRing } from "../../components/gitops/rings.ts";
import { renderTree, treeInput } from "../../components/gitops/tree.ts";
import type { TreeInput, TreeWorkload } from "../../components/gitops/tree-input.ts";
import { planTree, writeTree } from "../../components/gitops/writer.ts";
import type { Inventory, MaintenanceWindow, Profile } from "../../components/inventory/types.ts";
import { renderClusterSecret } from "../../components/registration/cluster-secret.ts";
import { ControlPlaneLab, type StoredObject } from "../lab/argocd/control-plane.ts";
import { ensureToolchain } from "../lab/toolchain/index.ts";
import { ARGO_CD_PARTS } from "../lab/toolchain/parts.ts";
import { type PredictionOptions, predictApplications } from "../prediction.ts";
import { buildProfile, gitopsOf } from "../unit/device/profile.ts";

const REGION = "tokyo";
const RINGS = ["canary", "early", "broad"];
const WORKLOADS = [
  { name: "telemetry", path: "workloads/telemetry", namespace: "telemetry", models: ["nuc-4g"] },
  { name: "vision", path: "workloads/vision", namespace: "vision", project: "vision", rings: ["canary"] },
  { name: "chart", type: "helm", path: "charts/x", namespace: "chart", labels: { site: "shibuya" } },
] satisfies TreeWorkload[];
const ARM = { model: "rpi4-4g", architecture: "arm64" } as const;

/** Windows that are closed now and stay so for the test: a quarter of an hour that began twelve hours ago. */
const CLOSED: readonly MaintenanceWindow[] = [{ start: clock(-12 * 60), durationMinutes: 15 }];
/** Windows that are open now and stay so. */
const OPEN: readonly MaintenanceWindow[] = [{ start: clock(-2 * 60), durationMinutes: 6 * 60 }];

/** Wall-clock time in Tokyo, some minutes from now. */
function clock(minutes: number): string {
  const at = new Date(Date.now() + minutes * 60_000);
  return at.toLocaleTimeString("en-GB", { timeZone: "Asia/Tokyo", hour: "2-digit", minute: "2-digit" });
}

function device(id: string, changes: Partial<Profile> = {}): Profile {
  const gitops = gitopsOf("argocd-agent");
  return buildProfile({
    id,
    region: REGION,
    gitops,
    time: { zone: "Asia/Tokyo", ntpServers: [] },
    labels: {},
    ...changes,
  });
}

/** Every kind of device: with values that a careless template would break, with windows, with and without an agent. */
const DEVICES: readonly Profile[] = [
  device("tokyo-0001", { values: { coordinates: "35.68,139.77", note: `a "b" <c> & {{.name}}: #1` } }),
  device("tokyo-0002", { ...ARM, labels: { site: "shibuya" } }),
  device("tokyo-0003", { ...ARM, ring: "early" }),
  device("tokyo-0004", { ring: "broad", maintenance: OPEN }),
  device("tokyo-0005", { maintenance: CLOSED }),
  device("tokyo-0006", { gitops: gitopsOf("flux") }),
  device("tokyo-0007", { ...ARM, ring: "broad" }),
];

describe("the ApplicationSet controller of Argo CD", { timeout: 900_000 }, () => {
  let lab: ControlPlaneLab;
  let profiles = DEVICES;
  let workloads: readonly TreeWorkload[] = WORKLOADS;
  /** The commit of each ring by workload; "workloads" is the overlays. */
  const rings = new Map<string, Map<string, string>>();
  let settings: Pick<ApplicationInput, "statusLimitBytes"> & { layout?: "live" | "rendered" } = {};

  const input = (): TreeInput & ApplicationInput => {
    const { layout = "live", ...rest } = settings;
    const git = { url: `${lab.git.url}/fleet.git`, branch: "main", path: "fleet", layout };
    const inventory = { fleet: { fleet: "acme", git, rings: RINGS, workloads } };
    return { ...treeInput(inventory as unknown as Inventory, profiles), ...rest };
  };
  const predict = (options: PredictionOptions = { at: new Date() }) =>
    predictApplications(REGION, input(), rings, options)
      .map(({ application: { metadata, spec }, set }) => ({ ...metadata, set, spec }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  const seen = async () => (await lab.list("applications")).map(observed);
  const register = async () => {
    for (const profile of profiles) await lab.apply("secrets", renderClusterSecret(profile));
    for (const set of renderApplicationSets(REGION, input())) await lab.apply("applicationsets", set);
  };
  const promote = (ring: string, revision: string, workload?: string) => {
    const file = join(lab.checkout, "fleet", ringPath(ring, workload));
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, renderRing(ring, revision, workload));
    const known = rings.get(workload ?? "workloads") ?? new Map<string, string>();
    rings.set(workload ?? "workloads", known.set(ring, revision));
  };
  const agree = async (wanted = predict()) => {
    assert.ok(wanted.length > 0);
    assert.deepEqual(await lab.settle(seen, wanted), wanted, lab.log());
  };

  before(async () => {
    const parts = ["hub-apiserver", "kustomize", ...ARGO_CD_PARTS] as const;
    const toolchain = await ensureToolchain((line) => process.stderr.write(`${line}\n`), parts);
    lab = await ControlPlaneLab.start(toolchain, REGION, { workloads: WORKLOADS });
    const tree = `${lab.checkout}/fleet`;
    writeTree(tree, planTree(tree, renderTree(input())));
  });
  after(() => lab?.stop());

  test("makes exactly the predicted Applications of every ring, workload and value, and none for a closed window", async () => {
    const revision = lab.push("first");
    promote("canary", revision);
    promote("broad", revision);
    promote("canary", revision, "telemetry");
    promote("canary", revision, "vision");
    promote("canary", revision, "chart");
    lab.push("promote");
    await register();
    await agree();
    const names = (await seen()).map(({ name }) => name);
    assert.deepEqual(names, [
      "tokyo-0001-telemetry",
      "tokyo-0001-vision",
      "tokyo-0001-workloads",
      "tokyo-0002-chart",
      "tokyo-0002-vision",
      "tokyo-0002-workloads",
      "tokyo-0004-workloads",
      "tokyo-0007-workloads",
    ]);
  });

  test("moves a ring's Applications to the commit that the ring file names, and no other one", async () => {
    const revision = lab.push("second");
    promote("canary", revision);
    promote("early", revision);
    lab.push("promote");
    await lab.refresh();
    await agree();
    const revisions = new Set(
      (await seen()).map(({ spec }) => (spec.source as { targetRevision: string }).targetRevision),
    );
    assert.equal(revisions.size, 2, "the broad ring and the workloads stay on the first commit");
  });

  test("leaves a device whose window has closed on its commit, and moves it once the window is open", async () => {
    profiles = replace(profiles, device("tokyo-0002", { ...ARM, labels: { site: "shibuya" }, maintenance: CLOSED }));
    const before = predict({}).find(({ name }) => name === "tokyo-0002-workloads");
    await register();
    const revision = lab.push("third");
    promote("canary", revision);
    lab.push("promote");
    await lab.refresh();
    const left = predict().filter(({ name }) => !name.startsWith("tokyo-0002"));
    const kept = (await seen()).filter(({ name }) => name.startsWith("tokyo-0002"));
    const others = async () => (await seen()).filter(({ name }) => !name.startsWith("tokyo-0002"));
    assert.deepEqual(await lab.settle(others, left), left, lab.log());
    assert.deepEqual(
      (await seen()).filter(({ name }) => name.startsWith("tokyo-0002")),
      kept,
    );
    assert.deepEqual(
      kept.find(({ name }) => name === "tokyo-0002-workloads"),
      before,
    );
    profiles = replace(profiles, device("tokyo-0002", { ...ARM, labels: { site: "shibuya" }, maintenance: OPEN }));
    await register();
    await agree();
  });

  test("leaves every Application as it is while Git does not answer, and follows it when it does", async () => {
    const before = await seen();
    await lab.git.stop();
    await lab.refresh();
    const failed = async () =>
      (await lab.list("applicationsets")).every(({ status }) =>
        status?.conditions?.some(({ type, status: state }) => type === "ErrorOccurred" && state === "True"),
      );
    assert.equal(await lab.settle(failed, true), true, lab.log());
    assert.deepEqual(await seen(), before);
    await lab.git.start();
    const revision = lab.push("fourth");
    promote("broad", revision);
    lab.push("promote");
    await lab.refresh();
    await agree();
  });

  test("changes a device's ring in place, and keeps the Applications of a device that leaves", async () => {
    const uid = await uidOf("tokyo-0007-workloads");
    profiles = replace(profiles, device("tokyo-0007", { ...ARM, ring: "early" }));
    await register();
    await agree();
    assert.equal(await uidOf("tokyo-0007-workloads"), uid);
    await lab.delete("secrets", "cluster-tokyo-0007");
    await lab.refresh();
    await agree();
  });

  test("hands the Applications over to more sets without deleting one", async () => {
    const uids = await uidsByName();
    const [single] = renderApplicationSets(REGION, input());
    settings = { statusLimitBytes: 700 };
    await register();
    await removeOtherSets();
    const sets = (await lab.list("applicationsets")).map(({ metadata }) => metadata.name);
    assert.ok(sets.filter((name) => name.startsWith("edge-workloads.")).length > 1, sets.join(", "));
    assert.ok(!sets.includes(single?.metadata.name ?? ""));
    await lab.refresh();
    await agree();
    assert.deepEqual(await uidsByName(), uids);
  });

  test("keeps the Applications of sets that somebody deletes by hand, and takes them on again", async () => {
    const uids = await uidsByName();
    for (const { metadata } of await lab.list("applicationsets"))
      await lab.delete("applicationsets", metadata.name, "Background");
    const owners = async () =>
      (await lab.list("applications")).flatMap(({ metadata }) => metadata.ownerReferences ?? []);
    assert.deepEqual(await lab.settle(owners, []), []);
    await register();
    await agree();
    assert.deepEqual(await uidsByName(), uids);
  });

  test("points at the rendered leaves", async () => {
    settings = { layout: "rendered" };
    await register();
    await removeOtherSets();
    await lab.refresh();
    await agree();
    const sources = new Map((await seen()).map(({ name, spec }) => [name, spec.source as Record<string, unknown>]));
    assert.equal(sources.get("tokyo-0001-workloads")?.path, "fleet/rendered/tokyo/nuc-4g");
    assert.ok(sources.get("tokyo-0001-workloads")?.kustomize);
  });

  test("leaves nothing of a removed workload but its Applications, which go with their set", async () => {
    workloads = WORKLOADS.map((workload) =>
      workload.name === "telemetry" ? { ...workload, state: "removed" } : workload,
    );
    await register();
    await lab.refresh();
    const name = "tokyo-0001-telemetry";
    const source = async () => {
      const spec = (await seen()).find((one) => one.name === name)?.spec;
      return [
        (spec?.source as { directory?: object } | undefined)?.directory,
        (spec?.syncPolicy as { automated: object })?.automated,
      ];
    };
    const wanted = [
      { include: "edge-fleet-removed", jsonnet: {} },
      { enabled: true, prune: true, selfHeal: true, allowEmpty: true },
    ];
    assert.deepEqual(await lab.settle(source, wanted), wanted, lab.log());
    workloads = WORKLOADS.filter((workload) => workload.name !== "telemetry");
    await removeOtherSets();
    const left = async () => (await seen()).filter((one) => one.name.endsWith("-telemetry"));
    assert.deepEqual(await lab.settle(left, []), [], lab.log());
  });

  test("makes those of 200 devices more", async () => {
    const ids = Array.from({ length: 200 }, (_, index) => `tokyo-${1000 + index}`);
    profiles = ids.map((id, index) => device(id, { ring: RINGS[index % 3] ?? "", ...(index % 2 === 0 ? ARM : {}) }));
    await register();
    const own = async () => (await seen()).filter(({ name }) => ids.includes(name.replace(/-workloads$/, "")));
    const wanted = predict().filter(({ name }) => name.endsWith("-workloads"));
    assert.equal(wanted.length, 200);
    assert.deepEqual(await lab.settle(own, wanted), wanted, lab.log());
  });

  /** What Pulumi does last: deletes the sets that are no longer wanted. */
  async function removeOtherSets(): Promise<void> {
    const wanted = renderApplicationSets(REGION, input()).map(({ metadata }) => metadata.name);
    for (const { metadata } of await lab.list("applicationsets"))
      if (!wanted.includes(metadata.name)) await lab.delete("applicationsets", metadata.name);
  }

  async function uidsByName(): Promise<Record<string, string>> {
    return Object.fromEntries((await lab.list("applications")).map(({ metadata }) => [metadata.name, metadata.uid]));
  }

  async function uidOf(name: string): Promise<string | undefined> {
    return (await uidsByName())[name];
  }
});

/** What the prediction speaks of, of a stored Application. */
function observed({ metadata, spec }: StoredObject) {
  const { name, labels, annotations, ownerReferences = [] } = metadata;
  const { namespace } = metadata as { namespace?: string };
  return { name, labels, annotations, namespace, set: ownerReferences[0]?.name, spec };
}

function replace(profiles: readonly Profile[], changed: Profile): Profile[] {
  return profiles.map((profile) => (profile.id === changed.id ? changed : profile));
}
