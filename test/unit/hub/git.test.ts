/** How the hub's control planes read a private Git repository, by the inventory and the hub stack's secrets. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { hubGit, withGitTrust } from "../../../components/hub/git.ts";
import { loadInventory } from "../../../components/inventory/index.ts";
import { inventoryFolder } from "../inventory/folder.ts";

const SECRETS = { "git-password": "s3cret" };
const CA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

/** @param fleet lines below `gitops:` of the fleet @param region those of the region */
function inventory(fleet: string, region = "") {
  const directory = inventoryFolder({
    "fleet.yaml": `fleet: acme
git: {url: https://git.example.com/fleet.git}
rings: [canary]
hub: {argocd: {version: v3.2.11}}
k3s: {version: v1.36.2+k3s1}
gitops:
${fleet}`,
    "tokyo.yaml": `region: tokyo
${region}
devices:
  - {id: tokyo-1, host: 10.0.0.1, model: nuc-4g, ring: canary}
`,
  });
  return loadInventory(directory);
}

test("a control plane whose devices have an agent logs in with the secret of the hub's stack", () => {
  const git = hubGit(inventory("  engine: argocd-agent\n  access: {type: https, username: hub}\n"), "tokyo", SECRETS);
  assert.deepEqual(
    git?.credentials.map(({ metadata, stringData }) => [metadata.namespace, metadata.labels, stringData]),
    [
      [
        "argocd-tokyo",
        { "app.kubernetes.io/part-of": "argocd", "argocd.argoproj.io/secret-type": "repository" },
        { type: "git", url: "https://git.example.com/fleet.git", username: "hub", password: "s3cret" },
      ],
    ],
  );
  assert.deepEqual(git?.trust, []);
});

test("a region's own access takes the place of the fleet's", () => {
  const own = inventory("  engine: argocd-agent\n  access: {type: https}\n", "gitops: {access: {username: tokyo}}");
  assert.equal(hubGit(own, "tokyo", SECRETS)?.credentials[0]?.stringData?.username, "tokyo");
});

test("a missing secret is refused with the command", () => {
  assert.throws(
    () => hubGit(inventory("  engine: argocd-agent\n  access: {type: https}\n"), "tokyo", {}),
    /^Error: region tokyo on the hub: gitops\.access: the stack has no secret git-password - run pulumi config set --secret edge-fleet:git-password$/,
  );
});

test("a fleet whose devices pull by themselves asks the hub for nothing", () => {
  assert.equal(hubGit(inventory("  engine: argocd\n  access: {type: https}\n"), "tokyo", {}), undefined);
});

test("pinned authorities take the place of the install's own, and nothing else does", () => {
  const ca = CA.split("\n").join("\n      ");
  const git = hubGit(inventory(`  engine: argocd-agent\n  access:\n    ca: |\n      ${ca}\n`), "tokyo", {});
  const map = (name: string) => ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data: { theirs: "x" } });
  assert.deepEqual(
    withGitTrust([map("argocd-cm"), map("argocd-tls-certs-cm"), map("argocd-ssh-known-hosts-cm")], git).map(
      ({ data }) => data,
    ),
    [{ theirs: "x" }, { "git.example.com": CA }, { theirs: "x" }],
  );
});
