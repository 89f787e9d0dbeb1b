/**
 * Devices that the hub steers: ApplicationSets, a principal and agents with what edge-fleet emits for them, their accounts'
 * own rights, and Argo CD's controllers on the hub and on the devices. argocd-agent is the one on PATH, or a stand-in
 * (lab/argocd/agent-standin.ts).
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { AgentDevice } from "../lab/argocd/agent-device.ts";
import { AgentLab, RELEASES } from "../lab/argocd/agent-lab.ts";
import { enterLab } from "../lab/scenario.ts";
import { settle } from "../lab/settle.ts";
import { ARGO_CD_PARTS } from "../lab/toolchain/parts.ts";
import { gitopsOf } from "../unit/device/profile.ts";

const toolchain = await enterLab(["hub-apiserver", "kustomize", ...ARGO_CD_PARTS]);

const ONE = "tokyo-0001";
const TWO = "tokyo-0002";
const WORKLOADS = "/api/v1/namespaces/edge-apps/configmaps/settings";
const WEB = "/apis/apps/v1/namespaces/edge-apps/deployments/web";
const APPLICATIONS = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications";
/** How long the controllers may take for one thing, in milliseconds: they retry a look that failed after 3 minutes. */
const TIMEOUT_MS = 240_000;
/** How often the hub's ApplicationSets are asked again to look at Git, in milliseconds. */
const RENEW_MS = 20_000;
/** What an agent says of a principal that does not let it in: argocd-agent (pkg/client/remote.go), the stand-in, TLS. */
const REFUSED = /Auth failure|the principal answers 403|alert|ECONNRESET|socket hang up/;
/** How long nothing must happen for a test to believe that it does not, in milliseconds. */
const QUIET_MS = 4000;

describe("devices that the hub steers", { timeout: 900_000 }, () => {
  let lab: AgentLab;

  before(async () => {
    lab = await AgentLab.start(toolchain, { [ONE]: "canary", [TWO]: "early" });
    await lab.release("first");
    await lab.startPrincipal();
    for (const id of [ONE, TWO]) await lab.dial(id);
  });
  after(() => lab?.stop());

  const levelOf = async (id: string) => {
    const { status, body } = await lab.device(id).call("GET", WORKLOADS);
    return status === 200 ? (body as { data: { level: string } }).data.level : status;
  };
  const reaches = async (level: string, ...ids: string[]) => {
    // A look that has begun before the push takes the annotation away that asks for one.
    const renewed = setInterval(() => lab.hub.refresh().catch(() => {}), RENEW_MS).unref();
    for (const id of ids)
      assert.equal(await settle(() => levelOf(id), level, TIMEOUT_MS), level, lab.device(id).agentLog().slice(-3000));
    clearInterval(renewed);
  };
  /** Names and UIDs of a device's Applications. */
  const held = async (id: string) =>
    Object.entries(await lab.device(id).applications()).map(([name, { metadata }]) => [name, metadata.uid]);
  /** What a restart of the workload would change; a Deployment's generation counts annotations too. */
  const web = async (id: string) => {
    const { body } = await lab.device(id).call("GET", WEB);
    const { metadata, spec } = body as { metadata: { uid: string }; spec: { template: object } };
    return [metadata.uid, spec.template];
  };
  const onHub = async () =>
    Object.fromEntries(
      (await lab.hub.list("applications")).map(({ metadata, spec, status }) => {
        const { sync } = (status ?? {}) as { sync?: { status?: string; revision?: string } };
        const { targetRevision } = spec.source as { targetRevision: string };
        return [metadata.name, sync?.revision === targetRevision && sync?.status];
      }),
    );
  const removeSets = async () => {
    for (const { metadata } of await lab.hub.list("applicationsets"))
      await lab.hub.delete("applicationsets", metadata.name);
  };
  /** @returns after how long, in milliseconds, a device's agent has written that it was refused */
  const refusal = async (device: AgentDevice) => {
    const [started, mark] = [performance.now(), device.agentLog().length];
    const isRefused = async () => REFUSED.test(device.agentLog().slice(mark));
    assert.equal(await settle(isRefused, true, TIMEOUT_MS), true, device.agentLog().slice(mark));
    return Math.round(performance.now() - started);
  };

  test("takes its Application and project from the hub, and the hub knows how it is", async () => {
    await reaches("first", ONE, TWO);
    const wanted = { [`${ONE}-workloads`]: "Synced", [`${TWO}-workloads`]: "Synced" };
    assert.deepEqual(await settle(onHub, wanted, TIMEOUT_MS), wanted);
    const { [`${ONE}-workloads`]: application, ...others } = await lab.device(ONE).applications();
    assert.deepEqual(others, {});
    assert.deepEqual(application?.metadata.finalizers ?? [], []);
    assert.deepEqual(application?.spec.destination, { name: "in-cluster", namespace: "edge-apps" });
  });

  test("follows its ring", async () => {
    await lab.release("second");
    await reaches("second", ONE, TWO);
  });

  test("heals, and keeps what the hub wanted, while the hub is away; then it catches up", async () => {
    const device = lab.device(ONE);
    const path = `${APPLICATIONS}/${ONE}-workloads`;
    await lab.stopPrincipal();
    await device.call("DELETE", WORKLOADS);
    await reaches("second", ONE);
    const revision = async () => (await device.applications())[`${ONE}-workloads`]?.spec.source.targetRevision;
    const before = await revision();
    assert.ok(before);
    await device.call("PATCH", path, { spec: { source: { targetRevision: "a".repeat(40) } } });
    assert.equal(await settle(revision, before, TIMEOUT_MS), before);
    await device.call("DELETE", path);
    assert.equal(await settle(revision, before, TIMEOUT_MS), before);
    await lab.release("third");
    await sleep(QUIET_MS);
    assert.equal(await levelOf(ONE), "second");
    await lab.startPrincipal();
    await reaches("third", ONE, TWO);
  });

  test("logs in with a renewed certificate, and with an expired one it stays out and goes on", async () => {
    lab.renew(ONE, 2027);
    lab.renew(TWO, 2021);
    for (const id of [ONE, TWO]) await lab.dial(id);
    await refusal(lab.device(TWO));
    await lab.release("fourth");
    await reaches("fourth", ONE);
    await sleep(QUIET_MS);
    assert.equal(await levelOf(TWO), "third");
    await lab.device(TWO).call("DELETE", WORKLOADS);
    await reaches("third", TWO);
    lab.renew(TWO, 2026);
    await lab.dial(TWO);
    await reaches("fourth", TWO);
  });

  test("moves with its ring to the principal of another release and back, and nothing of it is made anew", async () => {
    const before = [await held(TWO), await web(TWO)];
    lab.next([]);
    await lab.startPrincipal(RELEASES[1]);
    for (const [rings, level] of [
      [["early"], "fifth"],
      [[], "sixth"],
    ] as const) {
      lab.next(rings);
      await lab.dial(TWO);
      await lab.release(level);
      await reaches(level, ONE, TWO);
      assert.deepEqual([await held(TWO), await web(TWO)], before);
    }
    lab.next(undefined);
    await lab.stopPrincipal(RELEASES[1]);
  });

  test("keeps its Application when the hub comes back with others of the same names", async () => {
    await settle(async () => Object.values(await onHub()).every((state) => state === "Synced"), true, TIMEOUT_MS);
    const before = [await held(ONE), await web(ONE), await held(TWO), await web(TWO)];
    const uids = async () => (await lab.hub.list("applications")).map(({ metadata }) => metadata.uid);
    const former = await uids();
    await lab.stopPrincipal();
    for (const id of [ONE, TWO]) await lab.call("DELETE", `applications/${id}-workloads`);
    await lab.call("DELETE", "configmaps/argocd-agent-principal-identity");
    const made = async () => (await uids()).filter((uid) => !former.includes(uid)).length;
    assert.equal(await settle(made, 2, TIMEOUT_MS), 2);
    await lab.startPrincipal();
    await lab.release("seventh");
    await reaches("seventh", ONE, TWO);
    assert.deepEqual([await held(ONE), await web(ONE), await held(TWO), await web(TWO)], before);
  });

  test("lets go of its Application where the principal starts on a hub that has none, and its workload stays", async () => {
    const before = await web(ONE);
    await lab.stopPrincipal();
    await removeSets();
    for (const id of [ONE, TWO]) await lab.call("DELETE", `applications/${id}-workloads`);
    await lab.startPrincipal();
    assert.deepEqual(await settle(() => held(ONE), [], TIMEOUT_MS), []);
    assert.deepEqual([await web(ONE), await levelOf(ONE)], [before, "seventh"]);
    await lab.register();
    assert.equal(await settle(async () => (await held(ONE)).length, 1, TIMEOUT_MS), 1);
    await lab.release("eighth");
    await reaches("eighth", ONE, TWO);
    assert.deepEqual(await web(ONE), before);
  });

  test("hands over to the device's own entry and back, and the workload is not restarted", async () => {
    const before = await web(ONE);
    const agent = lab.profile(ONE).gitops;
    lab.change(ONE, { gitops: gitopsOf("argocd") });
    await lab.register();
    await lab.release("ninth");
    await lab.dial(ONE);
    await lab.device(ONE).letGo(`${ONE}-workloads`);
    await reaches("ninth", ONE, TWO);
    const names = async () => (await held(ONE)).map(([name]) => name);
    assert.deepEqual(await names(), ["edge-root", "workloads"]);
    assert.deepEqual(await web(ONE), before);
    lab.change(ONE, { gitops: agent });
    for (const name of ["edge-root", "workloads"]) await lab.device(ONE).letGo(name);
    await lab.register();
    await lab.dial(ONE);
    await lab.release("tenth");
    await reaches("tenth", ONE, TWO);
    assert.deepEqual(await names(), [`${ONE}-workloads`]);
    assert.deepEqual(await web(ONE), before);
  });

  test("a stolen device is shut out, and goes on with what it has", async () => {
    lab.change(TWO, { state: "removed", stolen: true });
    const [shutOut] = await Promise.all([refusal(lab.device(TWO)), lab.register()]);
    console.error(`# a stolen device is shut out after ${shutOut} ms`);
    await lab.release("eleventh");
    await reaches("eleventh", ONE);
    await sleep(QUIET_MS);
    assert.equal(await levelOf(TWO), "tenth");
    await lab.device(TWO).call("DELETE", WORKLOADS);
    await reaches("tenth", TWO);
  });

  test("a device whose Application is deleted on the hub lets go of it, and its workload stays", async () => {
    const before = await web(ONE);
    lab.change(ONE, { state: "removed" });
    await removeSets();
    await lab.call("DELETE", `applications/${ONE}-workloads`);
    assert.deepEqual(await settle(() => held(ONE), [], TIMEOUT_MS), []);
    await sleep(QUIET_MS);
    assert.deepEqual([await web(ONE), await levelOf(ONE)], [before, "eleventh"]);
  });

  test("nobody was denied what it asked an API server for", () => {
    const principals = RELEASES.map((release) => lab.principalLog(release));
    for (const log of [...principals, ...lab.devices.map((device) => device.agentLog())])
      assert.doesNotMatch(log, / is forbidden: /);
  });
});
