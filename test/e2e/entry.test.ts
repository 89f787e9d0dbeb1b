/**
 * An Argo CD as a device has it takes its entry from Git: real repo-server, real application-controller, a real API server
 * and a real Git server. What edge-fleet emits must do what it says: values, windows, selection, removal.
 */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { renderDeviceEntry } from "../../components/gitops/device-entry.ts";
import { readPins, renderRing } from "../../components/gitops/rings.ts";
import { renderTree } from "../../components/gitops/tree.ts";
import type { TreeDevice, TreeInput, TreeWorkload } from "../../components/gitops/tree-input.ts";
import { windowGroup } from "../../components/gitops/windows.ts";
import { planTree, writeTree } from "../../components/gitops/writer.ts";
import { DeviceArgoCd } from "../lab/argocd/device.ts";
import { ensureToolchain } from "../lab/toolchain/index.ts";
import { ARGO_CD_PARTS } from "../lab/toolchain/parts.ts";

const TELEMETRY: TreeWorkload = { name: "telemetry", path: "workloads/telemetry", namespace: "telemetry" };
const CAMERA: TreeWorkload = {
  name: "camera",
  path: "workloads/camera",
  namespace: "camera",
  labels: { camera: "yes" },
};

describe("an Argo CD on a device", { timeout: 900_000 }, () => {
  let lab: DeviceArgoCd;
  let workloads: readonly TreeWorkload[] = [TELEMETRY, CAMERA];
  let device: TreeDevice = {
    id: "tokyo-0001",
    region: "tokyo",
    model: "rpi4-4g",
    ring: "canary",
    engine: "argocd",
    values: { lane: "3", note: `a "b", <c>: $& {{d}}` },
    labels: { camera: "yes" },
  };

  const input = (): TreeInput => ({
    fleetName: "acme",
    git: { url: `${lab.git.url}/fleet.git`, branch: "main", path: "fleet", layout: "live" },
    rings: ["canary"],
    models: {
      "nuc-4g": { architecture: "amd64", memoryMiB: 4096 },
      "rpi4-4g": { architecture: "arm64", memoryMiB: 4096 },
    },
    devices: [device, { ...device, id: "tokyo-0002", model: "nuc-4g" }],
    workloads,
    patches: [{ devices: ["tokyo-0001"], workload: "telemetry", target: { name: "settings" }, patch: OWN }],
  });
  const tree = () => join(lab.checkout, "fleet");
  const file = (path: string, content: string) => {
    mkdirSync(dirname(join(tree(), path)), { recursive: true });
    writeFileSync(join(tree(), path), content);
  };
  const render = () => writeTree(tree(), planTree(tree(), renderTree(input(), readPins(tree(), workloads))));
  /** Pins the ring of a workload to a commit and renders the entry, as `promote` does. */
  const promote = (revision: string, names: readonly (string | undefined)[]) => {
    for (const name of names) file(`rings/${name ?? ""}/canary.yaml`, renderRing("canary", revision, name));
    render();
    const commit = lab.push("promote");
    return commit;
  };
  const configMap = async (namespace: string, name: string) => {
    const { status, body } = await lab.call("GET", `/api/v1/namespaces/${namespace}/configmaps/${name}`);
    return status === 200 ? (body as { metadata: { annotations: Record<string, string> }; data: object }) : undefined;
  };
  const dataOf = async (namespace: string, name: string) => (await configMap(namespace, name))?.data;
  const synced = async () =>
    Promise.all((await lab.applications()).map(async (name) => (await lab.application(name))?.status?.sync?.status));

  before(async () => {
    const parts = ["hub-apiserver", "kustomize", ...ARGO_CD_PARTS] as const;
    const toolchain = await ensureToolchain((line) => process.stderr.write(`${line}\n`), parts);
    lab = await DeviceArgoCd.start(toolchain);
    for (const name of ["telemetry", "camera"]) {
      file(`workloads/${name}/kustomization.yaml`, `namespace: ${name}\nresources: [settings.yaml]\n`);
      file(`workloads/${name}/settings.yaml`, settings("1"));
    }
    render();
    promote(lab.push("first"), [undefined, "telemetry", "camera"]);
  });
  after(() => lab?.stop());

  test("takes what its ring pins, with the device's values and patches on every object", async () => {
    await lab.apply(renderDeviceEntry(input(), device));
    assert.deepEqual(
      await lab.settle(() => lab.applications(), ["camera", "edge-root", "telemetry", "workloads"]),
      ["camera", "edge-root", "telemetry", "workloads"],
      lab.log(),
    );
    assert.deepEqual(await lab.settle(() => dataOf("telemetry", "settings"), { own: "yes-it-is", version: "1" }), {
      own: "yes-it-is",
      version: "1",
    });
    assert.deepEqual(await lab.settle(() => dataOf("camera", "settings"), { version: "1" }), { version: "1" });
    const { annotations } = (await configMap("telemetry", "settings"))?.metadata ?? {};
    assert.equal(annotations?.["edge-fleet.dev/device"], "tokyo-0001");
    assert.equal(annotations?.["values.edge-fleet.dev/note"], device.values?.note);
    const web = async () => (await lab.call("GET", "/apis/apps/v1/namespaces/edge-apps/deployments/web")).status;
    assert.equal(await lab.settle(web, 200), 200, lab.log());
    assert.deepEqual(await lab.settle(synced, Array(4).fill("Synced")), Array(4).fill("Synced"), lab.log());
  });

  test("stays where it is while the window is closed, heals all the same, and follows when it opens", async () => {
    device = { ...device, windows: closedNow() };
    await lab.apply(renderDeviceEntry(input(), device));
    file("workloads/telemetry/settings.yaml", settings("2"));
    const second = lab.push("second");
    const entry = promote(second, ["telemetry"]);
    await lab.refresh("edge-root");
    const seen = async () => (await lab.application("edge-root"))?.status?.sync?.revision === entry;
    assert.equal(await lab.settle(seen, true), true, "the root knows the new entry");
    await lab.call("DELETE", "/api/v1/namespaces/telemetry/configmaps/settings");
    assert.deepEqual(await lab.settle(() => dataOf("telemetry", "settings"), { own: "yes-it-is", version: "1" }), {
      own: "yes-it-is",
      version: "1",
    });
    await sleep(15_000);
    assert.notEqual((await lab.application("telemetry"))?.spec.source.targetRevision, second);
    const { windows: _, ...open } = device;
    device = open;
    await lab.apply(renderDeviceEntry(input(), device));
    await lab.refresh("edge-root");
    const wanted = { own: "yes-it-is", version: "2" };
    assert.deepEqual(await lab.settle(() => dataOf("telemetry", "settings"), wanted), wanted, lab.log());
  });

  test("a device that loses the label uninstalls what was selected by it", async () => {
    device = { ...device, labels: {} };
    await lab.apply(renderDeviceEntry(input(), device));
    await lab.refresh("edge-root");
    assert.deepEqual(
      await lab.settle(() => lab.applications(), ["edge-root", "telemetry", "workloads"]),
      ["edge-root", "telemetry", "workloads"],
      lab.log(),
    );
    assert.equal(await lab.settle(() => configMap("camera", "settings"), undefined), undefined);
  });

  test("a device that gets another model and other values keeps its StatefulSet and its Job", async () => {
    file("base/store.yaml", STORE);
    const kustomization = readFileSync(join(tree(), "base/kustomization.yaml"), "utf8");
    file("base/kustomization.yaml", kustomization.replace("resources:\n", "resources:\n  - store.yaml\n"));
    promote(lab.push("store"), [undefined]);
    await lab.refresh("edge-root");
    const store = "/apis/apps/v1/namespaces/edge-apps/statefulsets/store";
    const job = "/apis/batch/v1/namespaces/edge-apps/jobs/once";
    const facts = async (path: string) => {
      const { status, body } = await lab.call("GET", path);
      if (status !== 200) return undefined;
      const { metadata } = body as { metadata: Stored };
      return {
        uid: metadata.uid,
        model: metadata.labels?.["edge-fleet.dev/model"],
        lane: metadata.annotations?.[LANE],
      };
    };
    const both = async () => [await facts(store), await facts(job)].map((found) => [found?.model, found?.lane]);
    const first = [
      ["rpi4-4g", "3"],
      ["rpi4-4g", "3"],
    ];
    assert.deepEqual(await lab.settle(both, first), first, lab.log());
    const uids = [(await facts(store))?.uid, (await facts(job))?.uid];
    const label = { spec: { template: { metadata: { labels: { "edge-fleet.dev/model": "nuc-4g" } } } } };
    assert.equal(
      (await lab.call("PATCH", job, label)).status,
      422,
      "what must not be tried is refused by the API server",
    );
    device = { ...device, model: "nuc-4g", values: { lane: "4" } };
    await lab.apply(renderDeviceEntry(input(), device));
    await lab.refresh("edge-root");
    const second = [
      ["nuc-4g", "4"],
      ["nuc-4g", "4"],
    ];
    assert.deepEqual(await lab.settle(both, second), second, lab.log());
    assert.deepEqual([(await facts(store))?.uid, (await facts(job))?.uid], uids);
    const isSynced = async () => (await lab.application("workloads"))?.status?.sync?.status;
    assert.equal(await lab.settle(isSynced, "Synced"), "Synced", lab.log());
  });

  test("state: removed uninstalls a workload and leaves its volume claim and namespace", async () => {
    file("workloads/telemetry/claim.yaml", CLAIM);
    file("workloads/telemetry/kustomization.yaml", "namespace: telemetry\nresources: [settings.yaml, claim.yaml]\n");
    promote(lab.push("third"), ["telemetry"]);
    await lab.refresh("edge-root");
    const claim = async () =>
      (await lab.call("GET", "/api/v1/namespaces/telemetry/persistentvolumeclaims/data")).status;
    assert.equal(await lab.settle(claim, 200), 200, lab.log());
    workloads = [{ ...TELEMETRY, state: "removed" }, CAMERA];
    render();
    lab.push("remove");
    await lab.refresh("edge-root");
    const left = ["edge-root", "workloads"];
    assert.deepEqual(await lab.settle(() => lab.applications(), left), left, lab.log());
    assert.equal(await configMap("telemetry", "settings"), undefined);
    assert.equal(await claim(), 200);
  });
});

function settings(version: string): string {
  return `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {version: "${version}"}\n`;
}

const OWN = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: any}\ndata: {own: yes-it-is}\n";

const CLAIM = `apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: data }
spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 1Gi } } }
`;

const LANE = "values.edge-fleet.dev/lane";

interface Stored {
  readonly uid: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

const STORE = `apiVersion: apps/v1
kind: StatefulSet
metadata: { name: store }
spec:
  serviceName: store
  selector: { matchLabels: { app: store } }
  template:
    metadata: { labels: { app: store } }
    spec: { containers: [{ name: main, image: example.com/store:1.0.0 }] }
  volumeClaimTemplates:
    - metadata: { name: data }
      spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 1Gi } } }
---
apiVersion: batch/v1
kind: Job
metadata: { name: once }
spec:
  template:
    spec: { restartPolicy: Never, containers: [{ name: main, image: example.com/once:1.0.0 }] }
`;

/** A quarter of an hour that began twelve hours ago. */
function closedNow() {
  const start = new Date(Date.now() - 12 * 3_600_000).toISOString().slice(11, 16);
  return windowGroup([{ start, durationMinutes: 15 }], "UTC");
}
