/**
 * A rollout that reads health from a real API server: Applications of Argo CD's own definition, written as an agent's
 * principal writes them, read with an administrator's certificate, a reader's token and a credential program. One hub,
 * one story.
 */
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { parse, stringify } from "yaml";
import { callApi } from "../lab/hub/api.ts";
import { type Hub, startHub } from "../lab/hub/index.ts";
import { argocdManifests, ensureToolchain } from "../lab/toolchain/index.ts";
import { type Clone, hoursAgo, rolloutRepository, shareRepository } from "../unit/cli/rollout-repository.ts";

/** More than one page of a list. */
const CANARIES = 120;
const BROAD = 4;

const toolchain = await ensureToolchain((line) => process.stderr.write(`${line}\n`), ["hub-apiserver", "kustomize"]);
Object.assign(process.env, toolchain.env);

function region(): string {
  const device = (index: number, ring: string) =>
    `  - { id: tokyo-${index}, host: 10.0.${index >> 8}.${index & 255}, model: box, ring: ${ring} }\n`;
  const canaries = Array.from({ length: CANARIES }, (_, index) => device(index, "canary"));
  const broad = Array.from({ length: BROAD }, (_, index) => device(CANARIES + index, "broad"));
  return `region: tokyo\ndevices:\n${[...canaries, ...broad].join("")}`;
}

/** What an Application says of a device. */
interface Said {
  readonly revision: string;
  readonly health?: string;
  readonly sync?: string;
  /** Minutes since the device last compared what it runs. */
  readonly minutes?: number;
  /** Hours since it was synced. */
  readonly hours?: number;
}

class Story {
  readonly #hub: Hub;
  readonly #kubeconfig: string;
  readonly clone: Clone;
  readonly sha: string;

  constructor(hub: Hub, clone: Clone) {
    this.#hub = hub;
    this.#kubeconfig = readFileSync(hub.kubeconfigPath, "utf8");
    this.clone = clone;
    this.sha = clone.git("rev-parse", "HEAD");
  }

  async post(path: string, object: object): Promise<unknown> {
    const { status, body } = await callApi(this.#kubeconfig, "POST", path, object);
    assert.ok(status < 300, `${path}: ${status} ${JSON.stringify(body)}`);
    return body;
  }

  async install(): Promise<void> {
    const { directory } = await argocdManifests();
    const definition = parse(readFileSync(join(directory, "crds/application-crd.yaml"), "utf8")) as object;
    await this.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition);
    for (const name of ["argocd-tokyo", "argocd-osaka"])
      await this.post("/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name } });
    for (let tries = 0; tries < 100; tries++) {
      const path = "/apis/argoproj.io/v1alpha1/namespaces/argocd-tokyo/applications";
      if ((await callApi(this.#kubeconfig, "GET", path)).status === 200) return;
      await sleep(100);
    }
    assert.fail("the definition of Applications is never served");
  }

  /** Makes the Application of each canary say this. @param said by the device's number */
  async say(said: (index: number) => Said | undefined): Promise<void> {
    const path = "/apis/argoproj.io/v1alpha1/namespaces/argocd-tokyo/applications";
    await callApi(this.#kubeconfig, "DELETE", path);
    for (let index = 0; index < CANARIES; index++) {
      const status = said(index);
      const id = `tokyo-${index}`;
      await this.post(path, {
        apiVersion: "argoproj.io/v1alpha1",
        kind: "Application",
        metadata: { name: `${id}-workloads`, annotations: { "edge-fleet.dev/device": id } },
        spec: {
          project: "edge-workloads",
          source: {
            repoURL: "https://git.example.com/fleet.git",
            targetRevision: this.sha,
            path: "fleet/overlays/tokyo/box",
          },
          destination: { name: id, namespace: "edge-apps" },
        },
        ...(status === undefined ? {} : { status: statusOf(status) }),
      });
    }
  }

  /** A kubeconfig for an account that may list Applications in one namespace. */
  async reader(namespace: string): Promise<{ path: string; token: string }> {
    const rbac = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}`;
    const metadata = { name: "reader", namespace };
    await this.post(`/api/v1/namespaces/${namespace}/serviceaccounts`, {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata,
    });
    const rules = [{ apiGroups: ["argoproj.io"], resources: ["applications"], verbs: ["list"] }];
    await this.post(`${rbac}/roles`, { apiVersion: "rbac.authorization.k8s.io/v1", kind: "Role", metadata, rules });
    await this.post(`${rbac}/rolebindings`, {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "RoleBinding",
      metadata,
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "reader" },
      subjects: [{ kind: "ServiceAccount", name: "reader", namespace }],
    });
    const request = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: {} };
    const answer = await this.post(`/api/v1/namespaces/${namespace}/serviceaccounts/reader/token`, request);
    const { token } = (answer as { status: { token: string } }).status;
    return { path: this.write(`${namespace}.kubeconfig`, { token }), token };
  }

  /** The administrator's kubeconfig with another user. */
  write(name: string, user: object): string {
    const file = parse(this.#kubeconfig) as { users: { user: object }[] };
    if (file.users[0] !== undefined) file.users[0].user = user;
    const path = join(this.clone.directory, ".git", name);
    writeFileSync(path, stringify(file));
    return path;
  }

  promote(kubeconfig = this.#hub.kubeconfigPath) {
    return this.clone.run("promote", "broad", "--kubeconfig", kubeconfig, "--push", "--dry-run", "--no-diff");
  }
}

function statusOf({ revision, health = "Healthy", sync = "Synced", minutes = 1, hours = 3 }: Said): object {
  return {
    sync: { status: sync, revision },
    health: { status: health },
    history: [{ id: 0, revision, deployedAt: `${hoursAgo(hours).toISOString().slice(0, 19)}Z` }],
    reconciledAt: `${new Date(Date.now() - minutes * 60_000).toISOString().slice(0, 19)}Z`,
  };
}

test("a rollout on a hub", async (context) => {
  const directory = mkdtempSync(join(tmpdir(), "edge-fleet-rollout-"));
  const hub = await startHub({ toolchain, directory, report: (line) => process.stderr.write(`${line}\n`) });
  context.after(async () => {
    await hub.stop();
    rmSync(directory, { recursive: true, force: true });
  });
  const clone = await rolloutRepository(
    context,
    "gitops: { engine: argocd-agent }\nrollout: { minHealthy: 80%, maxFailures: 3 }\n",
    region(),
  );
  shareRepository(context, clone);
  const story = new Story(hub, clone);
  const { sha } = story;
  await story.install();

  await context.test("the first ring is promoted and pushed without asking the hub", async () => {
    clone.setDate(hoursAgo(3));
    const { exitCode, stderr } = await clone.run("promote", "canary", "--to", sha, "--push");
    assert.equal(exitCode, 0, stderr);
    clone.setDate(new Date());
  });

  await context.test("before any device has answered, nobody is healthy", async () => {
    await story.say(() => undefined);
    const { exitCode, stderr } = await story.promote();
    assert.equal(exitCode, 1);
    assert.match(
      stderr,
      new RegExp(`0 of ${CANARIES} device\\(s\\) are healthy on the revision \\(${CANARIES} unknown\\)`),
    );
  });

  await context.test("devices on all pages count, also those that were silent before the promotion", async () => {
    await story.say((index) => (index < 20 ? { revision: "0".repeat(40), minutes: 60 * 24 } : { revision: sha }));
    const { exitCode, stdout, stderr } = await story.promote();
    assert.equal(exitCode, 0, stderr);
    assert.match(stdout, /healthy: 100 of 120 device\(s\) healthy, 20 unknown$/m);
  });

  await context.test("devices that fell silent with the promotion count as failures", async () => {
    await story.say((index) => (index < 20 ? { revision: "0".repeat(40), minutes: 175 } : { revision: sha }));
    const { exitCode, stderr } = await story.promote();
    assert.equal(exitCode, 1);
    assert.match(stderr, /20 device\(s\) fail or were lost with it, rollout\.maxFailures is 3/);
  });

  await context.test("a status of another revision, out of sync or degraded is not health", async () => {
    await story.say((index) => {
      if (index < 4) return { revision: sha, health: "Degraded" };
      return index < 10 ? { revision: "0".repeat(40) } : { revision: sha };
    });
    const { exitCode, stderr } = await story.promote();
    assert.equal(exitCode, 1);
    assert.match(stderr, /4 device\(s\) fail or were lost with it, rollout\.maxFailures is 3/);
    assert.equal(clone.git("rev-list", "--count", `${sha}..origin/main`), "1", "nothing was pushed");
  });

  await context.test(
    "a commit that devices run for too short a time has not soaked, however old its promotion is",
    async () => {
      await story.say((index) => ({ revision: sha, hours: index < 95 ? 3 : 1.2 }));
      const { exitCode, stderr } = await story.promote();
      assert.equal(exitCode, 3, stderr);
      assert.match(stderr, /ring canary has run \w+ on 80% of its devices for 1h 1[0-2]m of 2h - promote broad in /);
      await story.say((index) =>
        index < 4 ? { revision: sha, health: "Degraded" } : { revision: index < 10 ? "" : sha },
      );
    },
  );

  await context.test("what status prints is what --status reads", async () => {
    const { exitCode, stdout, stderr } = await clone.run("status", "--json", "--kubeconfig", hub.kubeconfigPath);
    assert.equal(exitCode, 0, stderr);
    const file = join(clone.directory, ".git/status.json");
    writeFileSync(file, stdout);
    const rings = await clone.run("rings", "--status", file);
    assert.match(rings.stdout, /^canary .* not healthy: 110 of 120 device\(s\) healthy, 4 failed, 6 behind$/m);
  });

  await context.test(
    "an account that may list Applications in its namespace is enough, and one of another is told so",
    async () => {
      await story.say(() => ({ revision: sha }));
      const own = await story.reader("argocd-tokyo");
      const good = await story.promote(own.path);
      assert.equal(good.exitCode, 0, good.stderr);
      const other = await story.reader("argocd-osaka");
      const bad = await story.promote(other.path);
      assert.equal(bad.exitCode, 2);
      assert.match(
        bad.stderr,
        /user may not list applications in namespace argocd-tokyo of https.* \(403\) - use a user that may/,
      );
      assert.ok(!bad.stderr.includes(other.token));
      const program = join(clone.directory, ".git/credential");
      writeFileSync(program, `#!/bin/sh\nprintf '{"status":{"token":"%s"}}' "$TOKEN"\n`);
      chmodSync(program, 0o755);
      const exec = { apiVersion: "client.authentication.k8s.io/v1", command: program };
      const env = [{ name: "TOKEN", value: own.token }];
      const byProgram = await story.promote(story.write("exec.kubeconfig", { exec: { ...exec, env } }));
      assert.equal(byProgram.exitCode, 0, byProgram.stderr);
      const mute = await story.promote(story.write("mute.kubeconfig", { exec: { ...exec, command: "false" } }));
      assert.equal(mute.exitCode, 2);
      assert.match(mute.stderr, /false gives no token \(exit code 1\) - log in and run again/);
    },
  );

  await context.test("a healthy ring that has soaked lets the next one go on", async () => {
    const { exitCode, stderr } = await clone.run("promote", "broad", "--kubeconfig", hub.kubeconfigPath, "--push");
    assert.equal(exitCode, 0, stderr);
    assert.equal(clone.git("log", "-1", "--format=%s", "origin/main"), `Promote broad to ${sha.slice(0, 12)}`);
  });

  await context.test("a hub that is down is an error, and no reason to go on", async () => {
    await hub.stop();
    const { exitCode, stderr } = await clone.run("rings", "--kubeconfig", hub.kubeconfigPath);
    assert.equal(exitCode, 1);
    assert.match(stderr, /https:\/\/.* does not answer: .* - try again/);
  });
});
