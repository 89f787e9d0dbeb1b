import assert from "node:assert/strict";
import { chmodSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { kubeconfigPaths, readCluster, renderKubeconfig } from "../../../components/hub/kubeconfig.ts";
import { processFolder } from "../../temporary.ts";

const CONFIG = `current-context: b
contexts: [{name: a, context: {cluster: x}}, {name: b, context: {cluster: y}}]
clusters:
  - {name: x, cluster: {server: "https://x", certificate-authority-data: eA==}}
  - {name: y, cluster: {server: "https://y", certificate-authority: ca.crt}}
users: [{name: admin, user: {token: admin-token}}]
`;
const Y = { server: "https://y", certificateAuthorityData: Buffer.from("PEM").toString("base64") };
const X = { server: "https://x", certificateAuthorityData: "eA==" };

/** Writes files into a new folder and returns their paths. */
function write(files: Readonly<Record<string, string>>): string[] {
  const directory = processFolder("kubeconfig");
  writeFileSync(join(directory, "ca.crt"), "PEM");
  return Object.entries(files).map(([name, text]) => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  });
}

const CURRENT_A = "current-context: a\n";
const CLUSTERS_ONLY = CONFIG.replace(/^current.*\n/, "");
const SHADOWING = 'clusters: [{name: x, cluster: {server: "https://shadow", certificate-authority-data: eA==}}]\n';

for (const [name, files, context, expected] of [
  ["the current context", { config: CONFIG }, undefined, Y],
  ["a named context", { config: CONFIG }, "a", X],
  ["the first current context of several files", { first: CURRENT_A, config: CONFIG }, undefined, X],
  ["a context and its cluster in different files", { first: CURRENT_A, second: CLUSTERS_ONLY }, undefined, X],
  [
    "the first of two clusters with one name",
    { first: SHADOWING, config: CONFIG },
    "a",
    { ...X, server: "https://shadow" },
  ],
] as const) {
  test(`the hub's cluster is that of ${name}`, () => {
    assert.deepEqual(readCluster(context, write(files)), expected);
  });
}

test("files of the list that do not exist are passed over", () => {
  assert.deepEqual(readCluster("a", ["/nonexistent/config", ...write({ config: CONFIG })]), X);
});

for (const [name, text, context, expected] of [
  ["a context that is not there", CONFIG, "c", /kubeconfig \/.*config: has no context "c" - use one of: a, b$/],
  ["no current context", CLUSTERS_ONLY, undefined, /has no current context - set edge-fleet:context to one of: a, b$/],
  ["a current context that is not there", "current-context: z\n", undefined, /has no context "z" - use one of: none$/],
  ["a context without a cluster", "current-context: z\ncontexts: [{name: z}]\n", undefined, /has no server or no CA/],
  [
    "a CA file that is not there",
    CONFIG.replace("ca.crt", "gone.crt"),
    undefined,
    /gone\.crt does not exist - add it$/,
  ],
  [
    "nothing in it, as kubectl writes it",
    "clusters: null\ncontexts: null\ncurrent-context: z\n",
    undefined,
    /has no context "z"/,
  ],
  [
    "contexts and no clusters",
    "clusters: null\ncontexts: [{name: z, context: {cluster: x}}]\n",
    "z",
    /has no server or no CA/,
  ],
  ["text that is no YAML", "a: [", undefined, /config: is no kubeconfig - set KUBECONFIG to/],
  ["an empty file", "", undefined, /config: is no kubeconfig - set KUBECONFIG to/],
] as const) {
  test(`a kubeconfig with ${name} is refused with the fix`, () => {
    assert.throws(() => readCluster(context, write({ config: text })), expected);
  });
}

test("a kubeconfig that does not exist is refused with every path that was tried", () => {
  assert.throws(
    () => readCluster(undefined, ["/nonexistent/a", "/nonexistent/b"]),
    /^Error: kubeconfig \/nonexistent\/a, \/nonexistent\/b: does not exist - set KUBECONFIG to the kubeconfig of the hub's cluster$/,
  );
});

test("a kubeconfig that is a folder is refused", () => {
  const directory = processFolder("kubeconfig");
  chmodSync(directory, 0o700);
  assert.throws(() => readCluster(undefined, [directory]), /is no kubeconfig/);
});

test("the files are those of $KUBECONFIG, else ~/.kube/config, as for every Kubernetes client", (t) => {
  const { KUBECONFIG, HOME } = process.env;
  t.after(() => Object.assign(process.env, { HOME }, KUBECONFIG === undefined ? {} : { KUBECONFIG }));
  process.env.HOME = "/home/operator";
  process.env.KUBECONFIG = ["/a", "", "/b"].join(delimiter);
  assert.deepEqual(kubeconfigPaths(), ["/a", "/b"]);
  delete process.env.KUBECONFIG;
  assert.deepEqual(kubeconfigPaths(), ["/home/operator/.kube/config"]);
});

test("a region's kubeconfig names the cluster by its UID and holds only the region's token", () => {
  const text = renderKubeconfig(
    readCluster(undefined, write({ config: CONFIG })),
    "1f-2e",
    "argocd-tokyo",
    "region-token",
  );
  assert.equal(text.includes("admin-token"), false);
  const config = parse(text) as { clusters: unknown; users: unknown; contexts: unknown };
  assert.deepEqual(config.clusters, [
    {
      name: "hub-1f-2e",
      cluster: { server: Y.server, "certificate-authority-data": Y.certificateAuthorityData },
    },
  ]);
  assert.deepEqual(config.users, [{ name: "argocd-tokyo", user: { token: "region-token" } }]);
  assert.deepEqual(config.contexts, [
    {
      name: "argocd-tokyo",
      context: { cluster: "hub-1f-2e", user: "argocd-tokyo", namespace: "argocd-tokyo" },
    },
  ]);
});
