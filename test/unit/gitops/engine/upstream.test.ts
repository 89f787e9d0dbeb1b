/**
 * What the engine takes from upstream, held against the module of the pinned release: flags, variables, settings, images,
 * ports and paths that its own manifests, documents or source do not know would do nothing on a device, or end a process.
 */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { before, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { parse, parseAllDocuments } from "yaml";
import { ARGO_CD_RELEASE } from "../../../../components/inventory/gitops-schema.ts";
import { argocdManifests } from "../../../lab/toolchain/index.ts";
import { type Container, containerOf, type ParsedObject, parsedEngine, templates } from "./objects.ts";

let module = "";
let upstream: ParsedObject[] = [];
let source = "";

before(async () => {
  const { directory, version } = await argocdManifests();
  assert.equal(version, ARGO_CD_RELEASE, "hub, devices and lab run one release");
  module = dirname(directory);
  const text = readFileSync(join(directory, "core-install.yaml"), "utf8");
  upstream = parseAllDocuments(text).map((document) => document.toJS() as ParsedObject);
  source = globSync("{cmd,common,controller,reposerver,util}/**/*.go", { cwd: module })
    .filter((path) => !path.endsWith("_test.go"))
    .map((path) => readFileSync(join(module, path), "utf8"))
    .join("\n");
});

function of(objects: readonly ParsedObject[], kind: string, name: string): ParsedObject {
  const found = objects.find((object) => object.kind === kind && object.metadata.name === name);
  assert.ok(found !== undefined, `no ${kind} ${name}`);
  return found;
}

function upstreamContainer(name: string): Container & { readonly ports: unknown; readonly readinessProbe: unknown } {
  const { spec } = of(upstream, name.endsWith("controller") ? "StatefulSet" : "Deployment", name);
  const { containers } = (spec as { template: { spec: { containers: [Container & { ports: unknown }] } } }).template
    .spec;
  return containers[0] as ReturnType<typeof upstreamContainer>;
}

for (const process of ["argocd-application-controller", "argocd-repo-server"])
  test(`every flag of ${process} is one that upstream documents`, () => {
    const document = readFileSync(join(module, "docs/operator-manual/server-commands", `${process}.md`), "utf8");
    const { args } = containerOf(process);
    const flags = args.slice(args.indexOf(process) + 1).map((argument) => argument.split("=")[0] ?? "");
    assert.ok(flags.length >= 3 && flags.every((flag) => flag.startsWith("--")));
    for (const flag of flags) assert.match(document, new RegExp(`^ +${flag} `, "m"));
    assert.doesNotMatch(document, /^ +--no-such-flag /m);
  });

test("every variable is read by upstream's source, or by who it is meant for", () => {
  const others = ["GOMEMLIMIT", "GIT_CONFIG_SYSTEM", "HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"];
  const names = [...templates().keys()].flatMap((process) => containerOf(process).env.map(({ name }) => name));
  assert.ok(names.length > 12);
  const own = names.filter((name) => !others.includes(name) && name !== "KUBECACHEDIR");
  // REDIS_PASSWORD is put together from a prefix, util/cache/cache.go.
  for (const name of own) assert.ok(source.includes(`"${name}"`), name);
  const manifests = JSON.stringify(upstream);
  for (const name of ["KUBECACHEDIR", "HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME", "REDIS_PASSWORD"])
    assert.ok(manifests.includes(`"${name}"`), name);
});

test("argocd-cm says what upstream's says, value by value, and one thing more", () => {
  const own = of(parsedEngine(), "ConfigMap", "argocd-cm").data ?? {};
  const theirs = of(upstream, "ConfigMap", "argocd-cm").data ?? {};
  const more = Object.keys(own).filter((key) => !(key in theirs));
  assert.deepEqual(more, ["application.resourceTrackingMethod"]);
  for (const key of more) assert.ok(source.includes(`"${key}"`), key);
  for (const [key, value] of Object.entries(theirs))
    assert.ok(isDeepStrictEqual(parse(own[key] ?? "null"), parse(value)), `${key}:\n${own[key]}\nupstream:\n${value}`);
});

test("ports, probes and the port of each Service are upstream's", () => {
  for (const process of templates().keys()) {
    const own = containerOf(process) as ReturnType<typeof upstreamContainer>;
    const theirs = upstreamContainer(process);
    assert.deepEqual(own.ports, theirs.ports, process);
    assert.deepEqual(own.readinessProbe, theirs.readinessProbe, process);
  }
  for (const name of ["argocd-redis", "argocd-repo-server"]) {
    const ports = (objects: readonly ParsedObject[]) =>
      (of(objects, "Service", name).spec as { ports: { port: number }[] }).ports.map(({ port }) => port);
    assert.equal(ports(parsedEngine())[0], ports(upstream)[0]);
  }
});

test("what is mounted is where upstream mounts it, but for Git's settings and the checkouts", () => {
  for (const process of ["argocd-application-controller", "argocd-repo-server"]) {
    const theirs = new Set(upstreamContainer(process).volumeMounts?.map(({ mountPath }) => mountPath));
    const own = containerOf(process).volumeMounts?.map(({ mountPath }) => mountPath) ?? [];
    const others = own.filter((path) => !theirs.has(path));
    assert.deepEqual(others, process.endsWith("server") ? ["/tmp/_argocd-repo", "/app/config/git"] : []);
  }
  assert.match(source, /filepath\.Join\(os\.TempDir\(\), "_argocd-repo"\)/);
});

test("redis is started as upstream does, with a bound on its memory", () => {
  const own = containerOf("argocd-redis").args;
  const bound = own.indexOf("--maxmemory");
  assert.deepEqual([...own.slice(0, bound), ...own.slice(bound + 4)], upstreamContainer("argocd-redis").args);
});

test("what the account may do is what upstream's may", () => {
  const rules = (objects: readonly ParsedObject[]) =>
    (of(objects, "ClusterRole", "argocd-application-controller") as unknown as { rules: unknown }).rules;
  assert.deepEqual(rules(parsedEngine()), rules(upstream));
});

test("the images that the lock resolves are named in the install that it reads", () => {
  const text = readFileSync(join(module, "manifests", "namespace-install.yaml"), "utf8");
  for (const image of [/image: \S+\/argocd:v3/, /image: \S+\/redis:\d/]) assert.match(text, image);
});
