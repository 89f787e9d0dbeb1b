/** The checks of a whole tree, with the real kustomize and without any. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { checkTree } from "../../../../cli/check/tree.ts";
import { formatTreeProblem } from "../../../../cli/manifests/objects.ts";
import { renderTree } from "../../../../components/gitops/tree.ts";
import type { TreeInput } from "../../../../components/gitops/tree-input.ts";
import { planTree, writeTree } from "../../../../components/gitops/writer.ts";
import { EXAMPLE } from "../../gitops/fleet.ts";
import { runTool } from "../../gitops/tools.ts";

const DIGEST = `sha256:${"0a".repeat(32)}`;
const SECRET = "apiVersion: v1\nkind: Secret\nmetadata: { name: s }\n";

/** Devices of one model have Spin. */
const INPUT: TreeInput = {
  ...EXAMPLE,
  devices: EXAMPLE.devices.map((device) => (device.model === "n100-8g" ? { ...device, wasm: ["spin"] } : device)),
};

/** A workload's manifest with one container. */
function deployment(name: string, image: string, pod = "", memory = "32Mi", replicas = 1): string {
  return `apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name} }
spec:
  replicas: ${replicas}
  selector: { matchLabels: { a: ${name} } }
  template:
    metadata: { labels: { a: ${name} } }
    spec:
${pod}      containers:
        - name: main
          image: ${image}
          resources: { requests: { memory: ${memory} }, limits: { memory: ${memory} } }
`;
}

/** The example's tree with files of the team. */
function tree(context: TestContext, files: Readonly<Record<string, string>>): string {
  const directory = join(mkdtempSync(join(tmpdir(), "edge-fleet-check-")), "fleet");
  context.after(() => rmSync(dirname(directory), { recursive: true }));
  writeTree(directory, planTree(directory, renderTree(EXAMPLE)));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
  return directory;
}

/** No patches stand anywhere here. */
const NOWHERE = { fleet: () => assert.fail(), models: () => assert.fail() };

/** The problems with the folder's own name taken out. */
async function check(directory: string, input = INPUT, requireDigests = true): Promise<string[]> {
  const problems = await checkTree(directory, input, { fleet: { policy: { requireDigests } }, locate: NOWHERE });
  return problems.map((problem) => formatTreeProblem(problem).replaceAll(`${directory}/`, ""));
}

/** Runs with no program but git on PATH. */
async function withoutKustomize<T>(context: TestContext, work: () => Promise<T>): Promise<T> {
  const bin = mkdtempSync(join(tmpdir(), "edge-fleet-bin-"));
  context.after(() => rmSync(bin, { recursive: true }));
  symlinkSync("/usr/bin/git", join(bin, "git"));
  const { PATH } = process.env;
  process.env.PATH = bin;
  try {
    return await work();
  } finally {
    process.env.PATH = PATH;
  }
}

/** A kustomization of the team's component of a model, that adds one file. */
const team = (path: string, resource: string, more = "") => ({
  [`${path}/kustomization.yaml`]: `apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [${resource}]\n${more}`,
});
const MODEL = "components/model/rpi4-4g/team";

test("the scaffolded tree has nothing to refuse, with kustomize and without", async (context) => {
  runTool("kustomize", ["version"]);
  const directory = tree(context, {});
  assert.deepEqual(await check(directory), []);
  assert.deepEqual(await withoutKustomize(context, () => check(directory)), []);
});

const sources: [what: string, files: Record<string, string>, problem: RegExp][] = [
  [
    "a key that is there twice",
    { "base/service.yaml": "kind: Service\nmetadata: { name: a }\nkind: Service\n" },
    /^base\/service\.yaml:3:1 \(yaml\): the key is there twice, the last one would win silently - delete one$/,
  ],
  [
    "broken YAML",
    { "base/service.yaml": "kind: [Service\n" },
    /^base\/service\.yaml:\d+:\d+ \(yaml\): .* - fix the syntax$/,
  ],
  [
    "a base that is fetched",
    team(MODEL, "github.com/acme/base?ref=main"),
    /^components\/model\/rpi4-4g\/team\/kustomization\.yaml:3:13 resources\[0\]: github\.com.* is fetched from elsewhere/,
  ],
  [
    "a base outside the tree",
    team(MODEL, "../../../../../elsewhere"),
    /resources\[0\]: .* leaves the folder of the tree - move it below /,
  ],
  ["a base that is not there", team(MODEL, "gone.yaml"), /resources\[0\]: gone\.yaml does not exist - create it/],
  [
    "a chart",
    team(MODEL, "", "helmCharts: [{ name: x, repo: https://example.com }]\n"),
    /kustomization\.yaml:4:13 helmCharts: fetches a chart/,
  ],
  [
    "a Secret in the clear",
    { "base/secret.yaml": `${SECRET}stringData:\n  password: hunter2\n` },
    /^base\/secret\.yaml:5:13 stringData\.password: a Secret stands in the repository in the clear - commit a SealedSecret/,
  ],
  [
    "a Secret inside a List, in a second document",
    {
      "base/secret.yaml": `kind: X\n---\napiVersion: v1\nkind: List\nitems:\n  - { apiVersion: v1, kind: Secret, data: { a: eA== } }\n`,
    },
    /^base\/secret\.yaml:6:\d+ items\[0\]\.data\.a: /,
  ],
  [
    "a generated Secret",
    team(MODEL, "", "secretGenerator: [{ name: s, literals: [a=b] }]\n"),
    /secretGenerator\[0\]: makes a Secret of values in the repository/,
  ],
];

for (const [what, files, problem] of sources) {
  test(`${what} is refused at its place, with kustomize and without`, async (context) => {
    const directory = tree(context, files);
    for (const problems of [await check(directory), await withoutKustomize(context, () => check(directory))]) {
      const found = problems.filter((line) => problem.test(line));
      assert.equal(found.length, 1, problems.join("\n"));
      assert.doesNotMatch(problems.join("\n"), /hunter2/);
    }
  });
}

test("an encrypted Secret and a sealed one are let through", async (context) => {
  const directory = tree(context, {
    "base/a.yaml": `${SECRET}data: { a: "ENC[AES256_GCM,data:abc=,iv:x,tag:y,type:str]" }\nsops: { mac: m }\n`,
    "base/b.yaml": "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nspec: { encryptedData: { a: b } }\n",
  });
  assert.deepEqual(await check(directory), []);
});

test("a SealedSecret of ours is refused where a device that takes it could not open it", async (context) => {
  const sealed = (name: string, key: string) => `apiVersion: bitnami.com/v1alpha1
kind: SealedSecret
metadata: { name: ${name}, namespace: edge-apps, annotations: { edge-fleet.dev/sealing-key: "${key}" } }
spec: { encryptedData: { a: b } }
`;
  const directory = tree(context, {
    "components/region/tokyo/team/sealed.yaml": `${sealed("own", "aa11")}---\n${sealed("foreign", "bb22")}`,
    "workloads/telemetry/sealed.yaml": sealed("telemetry", "cc33"),
    "workloads/telemetry/kustomization.yaml": "resources: [sealed.yaml]\n",
  });
  const file = join(directory, "components/region/tokyo/team/kustomization.yaml");
  writeFileSync(file, `${readFileSync(file, "utf8")}\nresources: [sealed.yaml]\n`);
  const workload = { name: "telemetry", path: "workloads/telemetry", namespace: "edge-apps", models: ["n100-8g"] };
  const devices = INPUT.devices.map((device) => {
    if (device.id === "tokyo-0003") return device;
    const own = device.id === "tokyo-0002" ? ["cc33"] : [];
    return { ...device, sealing: [device.region === "tokyo" ? "aa11" : "bb22", ...own] };
  });
  const found = await check(directory, { ...INPUT, devices, workloads: [workload] });
  const region = "components/region/tokyo/team/sealed.yaml";
  assert.deepEqual(
    found.map((line) => line.replace(/^(\S+):(\d+):\d+ .*?: (device \S+ takes it and .*?)( - .*)$/, "$1:$2 $3")).sort(),
    [
      `${region}:2 device tokyo-0003 takes it and opens none`,
      `${region}:7 device tokyo-0001 takes it and has no key bb22, which it was sealed with`,
      `${region}:7 device tokyo-0002 takes it and has no key bb22, which it was sealed with`,
      `${region}:7 device tokyo-0003 takes it and opens none`,
      "workloads/telemetry/sealed.yaml:2 device osaka-0003 takes it and has no key cc33, which it was sealed with",
    ],
  );
  assert.match(found.join("\n"), /tokyo-0001 takes it .* - seal it with edge-fleet seal tokyo, or put it where/);
  assert.match(found.join("\n"), /tokyo-0003 takes it .* - set gitops\.secrets to sealed-secrets/);
});

test("an ExternalSecret is refused where a device that takes it has nothing that works on it", async (context) => {
  const object = (kind: string, name: string) => `apiVersion: external-secrets.io/v1
kind: ${kind}
metadata: { name: ${name}, namespace: edge-apps }
`;
  const path = "components/region/tokyo/team";
  const directory = tree(context, {
    ...team(path, "external.yaml"),
    [`${path}/external.yaml`]: ["ExternalSecret", "SecretStore", "PushSecret"]
      .map((kind) => object(kind, "a"))
      .join("---\n"),
  });
  const devices = INPUT.devices.map((device) =>
    device.id === "tokyo-0003" ? device : { ...device, secrets: "external-secrets" as const },
  );
  const refused = (found: readonly string[]) =>
    found
      .filter((line) => line.startsWith(path))
      .map((line) => line.replace(/^\S+:(\d+):\d+ .*?: (device .*)$/, "$1 $2"));
  const without =
    "takes it and has nothing that works on it - set gitops.secrets to external-secrets, or leave it out there";
  assert.deepEqual(refused(await check(directory, { ...INPUT, devices })).sort(), [
    ...[1, 2].map(
      (n) =>
        `10 device tokyo-000${n} takes it and knows ExternalSecret and SecretStore alone, no PushSecret - use them, or leave it out there`,
    ),
    ...[10, 2, 6].map((line) => `${line} device tokyo-0003 ${without}`),
  ]);
  const chart = { name: "eso", path: "workloads/eso", namespace: "eso", type: "helm" as const };
  assert.deepEqual(
    refused(await check(directory, { ...INPUT, devices, workloads: [chart] })),
    [],
    "it may bring its own",
  );
});

test("an image is judged as it is rendered, once for all leaves, and shown where it is written", async (context) => {
  const directory = tree(context, {
    ...team("components/region/tokyo/team", "app.yaml"),
    "components/region/tokyo/team/app.yaml": deployment("app", "example.com/app:1.2.3"),
  });
  assert.deepEqual(await check(directory), [
    "components/region/tokyo/team/app.yaml:12:18 spec.template.spec.containers[0].image (overlays/tokyo/n100-8g and 2 more): " +
      "example.com/app:1.2.3 is not pinned by digest - write name:tag@sha256:<digest>",
  ]);
  assert.deepEqual(await check(directory, INPUT, false), []);
});

test("an image that a kustomization pins is fine, and one that it unpins is not, with kustomize and without", async (context) => {
  const files = (images: string) => ({
    ...team("components/region/tokyo/team", "app.yaml", `images: [${images}]\n`),
    "components/region/tokyo/team/app.yaml": deployment("app", "example.com/app:dev"),
  });
  const good = tree(context, files(`{ name: example.com/app, newTag: 1.2.3, digest: "${DIGEST}" }`));
  const bad = tree(context, files("{ name: example.com/app, newTag: 1.2.3 }"));
  for (const run of [check, (directory: string) => withoutKustomize(context, () => check(directory))]) {
    assert.deepEqual(await run(good), []);
    const problems = await run(bad);
    assert.equal(problems.length, 1, problems.join("\n"));
    assert.match(
      problems[0] ?? "",
      /^components\/region\/tokyo\/team\/kustomization\.yaml:4:10 images\[0\].*not pinned by digest/,
    );
  }
});

test("a runtime class is refused only for the models without the runtime", async (context) => {
  const directory = tree(context, {
    ...team("components/region/tokyo/team", "app.yaml"),
    "components/region/tokyo/team/app.yaml": deployment(
      "app",
      `example.com/app@${DIGEST}`,
      "      runtimeClassName: spin\n",
    ),
  });
  const problems = await check(directory);
  assert.equal(problems.length, 2, problems.join("\n"));
  for (const [index, model] of ["rpi4-2g", "rpi4-4g"].entries())
    assert.match(
      problems.sort()[index] ?? "",
      new RegExp(
        `^components/region/tokyo/team/app\\.yaml:10:\\d+ .*\\(overlays/tokyo/${model}\\): model ${model}: runtime class spin`,
      ),
    );
});

test("workloads that do not fit into a model are refused for that model, with the largest named", async (context) => {
  const app = (memory: string) => deployment("app", `example.com/app@${DIGEST}`, "", memory, 2);
  const directory = tree(context, {
    ...team("components/region/tokyo/team", "app.yaml"),
    "components/region/tokyo/team/app.yaml": app("700Mi"),
  });
  const problems = await check(directory);
  assert.equal(problems.length, 1, problems.join("\n"));
  assert.match(
    problems[0] ?? "",
    /^overlays\/tokyo\/rpi4-2g\/kustomization\.yaml:1:1 .* request 14\d\d MiB, of the 2048 MiB of model rpi4-2g 984 MiB are left for them beside the pull engine's 144 MiB \(Deployment edge-apps\/app 1400 MiB, /,
  );
});

test("what the pull engine requests is missing for workloads", async (context) => {
  const app = deployment("app", `example.com/app@${DIGEST}`, "", "900Mi");
  const directory = tree(context, {
    ...team("components/region/tokyo/team", "app.yaml"),
    "components/region/tokyo/team/app.yaml": app,
  });
  assert.deepEqual(await check(directory), []);
  const devices = INPUT.devices.map((device) => ({ ...device, engine: "argocd" as const }));
  const problems = await check(directory, { ...INPUT, devices });
  assert.equal(problems.length, 1, problems.join("\n"));
  assert.match(problems[0] ?? "", /model rpi4-2g 824 MiB are left for them beside the pull engine's 304 MiB \(/);
});

test("a workload of its own counts on the models that it is for", async (context) => {
  const directory = tree(context, {
    "workloads/camera/kustomization.yaml": "resources: [app.yaml]\n",
    "workloads/camera/app.yaml": deployment("camera", "example.com/camera:1.2.3", "", "1200Mi"),
  });
  const workload = (models?: string[]) => ({
    name: "camera",
    path: "workloads/camera",
    namespace: "camera",
    ...(models === undefined ? {} : { models }),
  });
  const small = await check(directory, { ...INPUT, workloads: [workload()] });
  assert.match(small.join("\n"), /^overlays\/tokyo\/rpi4-2g\/kustomization\.yaml:1:1 .*camera 1200 MiB/m);
  assert.match(small.join("\n"), /^workloads\/camera\/app\.yaml:12:18 .*\(workloads\/camera\).*not pinned/m);
  const large = await check(directory, { ...INPUT, workloads: [workload(["n100-8g"])] });
  assert.doesNotMatch(large.join("\n"), /rpi4-2g/);
});

test("leaves that do not build for the same reason are one problem that says why", async (context) => {
  const patch = `patches: [{ target: { kind: Deployment }, patch: '[{"op": "replace", "path": "/nowhere/at", "value": 1}]' }]\n`;
  const directory = tree(context, team("components/region/osaka/team", "", patch));
  const problems = await check(directory);
  assert.equal(problems.length, 1, problems.join("\n"));
  assert.match(
    problems[0] ?? "",
    /^overlays\/osaka\/n100-8g\/kustomization\.yaml:1:1 \(kustomize\) \(overlays\/osaka\/n100-8g and 1 more\): does not build: .*nowhere/,
  );
});

const ROLE = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: { name: reader }\nrules: []\n";
const OPERATOR = { name: "operator", path: "workloads/operator", namespace: "operator", project: "operators" } as const;
const OPERATOR_FILES = {
  "workloads/operator/kustomization.yaml":
    "namespace: operator\nresources: [role.yaml, quota.yaml, crd.yaml, widget.yaml]\n",
  "workloads/operator/role.yaml": ROLE,
  "workloads/operator/quota.yaml": "apiVersion: v1\nkind: ResourceQuota\nmetadata: { name: quota }\n",
  "workloads/operator/crd.yaml":
    "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: { name: widgets.example.com }\nspec: { group: example.com, scope: Cluster, names: { kind: Widget, plural: widgets }, versions: [] }\n",
  "workloads/operator/widget.yaml": "apiVersion: example.com/v1\nkind: Widget\nmetadata: { name: w }\n",
};

test("what the project would refuse is refused where it is written, and projects in fleet.yaml allow it", async (context) => {
  const directory = tree(context, OPERATOR_FILES);
  const problems = await check(directory, { ...INPUT, workloads: [OPERATOR] });
  assert.deepEqual(
    problems.map((problem) => problem.replace(/ - leave it out.*/, "")),
    [
      "workloads/operator/crd.yaml:2:7 kind (workloads/operator): project operators refuses the kind apiextensions.k8s.io/CustomResourceDefinition, which is of the whole cluster",
      "workloads/operator/quota.yaml:2:7 kind (workloads/operator): project operators refuses the kind ResourceQuota",
      "workloads/operator/role.yaml:2:7 kind (workloads/operator): project operators refuses the kind rbac.authorization.k8s.io/ClusterRole, which is of the whole cluster",
      "workloads/operator/widget.yaml:2:7 kind (workloads/operator): project operators refuses the kind example.com/Widget, which is of the whole cluster",
    ],
  );
  const kinds = [
    "apiextensions.k8s.io/CustomResourceDefinition",
    "ResourceQuota",
    "rbac.authorization.k8s.io/ClusterRole",
    "example.com/Widget",
  ];
  const allowed = { ...INPUT, workloads: [OPERATOR], projects: { operators: { kinds } } };
  assert.deepEqual(await check(directory, allowed), []);
});

test("a namespace that the project refuses is refused, and projects in fleet.yaml allow it", async (context) => {
  const directory = tree(context, {
    "workloads/operator/kustomization.yaml": "resources: [settings.yaml]\n",
    "workloads/operator/settings.yaml":
      "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: c, namespace: kube-system }\n",
  });
  const [problem, ...others] = await check(directory, { ...INPUT, workloads: [OPERATOR] });
  assert.deepEqual(others, []);
  assert.match(
    problem ?? "",
    /^workloads\/operator\/settings\.yaml:2:7 kind .*: project operators refuses the namespace kube-system - use operator, or allow it/,
  );
  const projects = { operators: { namespaces: ["kube-system"] } };
  assert.deepEqual(await check(directory, { ...INPUT, workloads: [OPERATOR], projects }), []);
});

test("a chart is in the tree as a whole, and its templates are not read as YAML", async (context) => {
  const chart = { name: "ingress", type: "helm", path: "charts/ingress", namespace: "ingress" } as const;
  const files = {
    "charts/ingress/Chart.yaml": `apiVersion: v2
name: ingress
version: 0.1.0
dependencies:
  - { name: nginx, version: 4.11.2, repository: "https://charts.example.com" }
  - { name: other, version: ^1.0.0, repository: "https://charts.example.com" }
`,
    "charts/ingress/templates/x.yaml": "{{- range .Values.x }}\n: [\n{{- end }}\n",
  };
  const input = { ...INPUT, workloads: [chart] };
  assert.deepEqual(await check(tree(context, files), input), [
    "charts/ingress/Chart.yaml:5:5 dependencies[0]: charts/nginx-4.11.2.tgz is missing, and devices fetch no charts - run helm dependency build, and commit it",
    "charts/ingress/Chart.yaml:6:5 dependencies[1]: other has no exact version - write e.g. 1.2.3",
  ]);
  const whole = {
    ...files,
    "charts/ingress/charts/nginx-4.11.2.tgz": "",
    "charts/ingress/Chart.yaml": files["charts/ingress/Chart.yaml"].replace(/ {2}- { name: other.*\n/, ""),
  };
  assert.deepEqual(await check(tree(context, whole), input), []);
  assert.match(
    (await check(tree(context, {}), input)).join(),
    /charts\/ingress\/Chart\.yaml:1:1 \(file\): is missing - commit the chart there/,
  );
});

test("a workload with overlays is built for each region and model that it is for", async (context) => {
  const shop = {
    name: "shop",
    type: "overlays",
    path: "workloads/shop",
    namespace: "shop",
    models: ["rpi4-4g"],
  } as const;
  const input: TreeInput = { ...EXAMPLE, workloads: [{ ...shop, models: ["rpi4-4g"] }] };
  const directory = tree(context, {
    "workloads/shop/base/kustomization.yaml": "resources: [web.yaml]\n",
    "workloads/shop/base/web.yaml": deployment("web", "example.com/web:latest"),
  });
  writeTree(directory, planTree(directory, renderTree(input)));
  assert.deepEqual(await check(directory, input), [
    "workloads/shop/base/web.yaml:12:18 spec.template.spec.containers[0].image (workloads/shop/overlays/osaka/rpi4-4g and 1 more): example.com/web:latest has a tag that moves to other images - write name:tag@sha256:<digest>",
  ]);
  const built = runTool("kustomize", ["build", join(directory, "workloads/shop/overlays/tokyo/rpi4-4g")]);
  assert.match(built, /namespace: shop/);
  assert.match(built, /edge-fleet\.dev\/region: tokyo/);
});
