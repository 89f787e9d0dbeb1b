/** Completion: the words that may come next, and the scripts in the shells that they are for. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { candidates } from "../../../cli/completion/candidates.ts";
import { deviceNames, hubName, regionNames, ringNames } from "../../../cli/completion/names.ts";
import { hubOf, loadInventory } from "../../../components/inventory/index.ts";
import { MAIN } from "./command.ts";
import { BASE_FILES, temporaryDirectory, writeInventory } from "./inventory.ts";

const FILES = {
  "tokyo.yaml": `# id: not-a-device
region: tokyo
labels: { grid: east }
devices:
  - { host: 10.0.0.1, id: tokyo-1, model: box }
  - model: box
    id: "tokyo-2"
    host: 10.0.0.2
  - id: tokyo-3
    host: 10.0.0.3
    model: box
`,
  "berlin.yaml": "region: berlin\ndevicesFrom: berlin.csv\n",
  "berlin.csv": "host,id,model\n10.0.1.1,berlin-1,box\n10.0.1.2,berlin-2,box\n",
  "paris.yaml": "region: paris\n",
};

const forms: Record<string, (fleet: string) => string> = {
  "as it is written most": (fleet) => fleet,
  "with rings as a block": (fleet) => fleet.replace("rings: [canary, broad]", "rings:\n  - canary\n  - broad"),
  "with a hub of another name": (fleet) => fleet.replace("hub: { argocd", "hub: { stack: control, argocd"),
  "with a hub of another name in a block": (fleet) =>
    fleet.replace(/hub: .*/, "hub:\n  argocd: { version: v3.2.0 }\n  stack: control"),
  "without a hub": (fleet) => fleet.replace(/hub: .*/, "hub: none"),
};

for (const [name, change] of Object.entries(forms))
  test(`names are those of the inventory, ${name}`, (context) => {
    const fleet = change(BASE_FILES["fleet.yaml"] ?? "");
    const directory = writeInventory(context, { ...FILES, "fleet.yaml": fleet });
    const inventory = loadInventory(directory);
    assert.deepEqual(regionNames(directory), [...inventory.regions.keys()]);
    const devices = [...inventory.regions.values()].flatMap((region) => region.devices.map(({ entry }) => entry.id));
    assert.deepEqual(deviceNames(directory), devices.sort());
    assert.deepEqual(ringNames(directory), inventory.fleet.rings);
    assert.deepEqual(
      hubName(directory),
      [hubOf(inventory.fleet)?.stack].filter((stack) => stack !== undefined),
    );
  });

test("a folder that is none has no names, and breaks nothing", () => {
  const directory = "/nowhere";
  assert.deepEqual([regionNames(directory), deviceNames(directory), ringNames(directory)], [[], [], []]);
});

const cases: { words: string[]; expected: string[] }[] = [
  { words: ["pr"], expected: ["preview", "promote"] },
  { words: ["ba"], expected: ["backup"] },
  { words: ["backup", ""], expected: ["list", "restore", "hub", "restore-hub", "--help"] },
  { words: ["backup", "restore", "tokyo-2"], expected: ["tokyo-2"] },
  { words: ["backup", "restore", "tokyo-2", "--fr"], expected: ["--from"] },
  { words: ["backup", "nonsense", ""], expected: [] },
  { words: ["--v"], expected: ["--version"] },
  { words: ["logs", "tokyo-"], expected: ["tokyo-1", "tokyo-2", "tokyo-3"] },
  { words: ["logs", "tokyo-1", ""], expected: ["apply", "unit", "engine"] },
  { words: ["logs", "-n", "5", "b"], expected: ["berlin-1", "berlin-2"] },
  { words: ["logs", "tokyo-1", "--f"], expected: ["--follow"] },
  { words: ["enroll", ""], expected: ["berlin", "paris", "tokyo"] },
  { words: ["enroll", "tokyo", ""], expected: [] },
  { words: ["up", ""], expected: ["hub", "berlin", "paris", "tokyo"] },
  { words: ["up", "tokyo", "--device", "tokyo-3"], expected: ["tokyo-3"] },
  { words: ["status", "ber"], expected: ["berlin", "berlin-1", "berlin-2"] },
  { words: ["status", "--ring", ""], expected: ["canary", "broad"] },
  { words: ["promote", "c"], expected: ["canary"] },
  { words: ["exec", "tokyo", "--", ""], expected: [] },
  { words: ["completion", ""], expected: ["bash", "zsh", "fish"] },
  { words: ["nonsense", ""], expected: [] },
];

test("what comes next fits what stands before", async (context) => {
  const directory = writeInventory(context, FILES);
  for (const { words, expected } of cases) {
    const names = words[0] === "backup" ? 2 : /^completion|nonsense/.test(words[0] ?? "") ? words.length : 1;
    const all = words.length <= names ? words : [...words.slice(0, names), "-i", directory, ...words.slice(names)];
    assert.deepEqual(await candidates(all), expected, words.join(" "));
  }
});

/** How each shell is asked for what follows `edge-fleet logs tokyo-`, in a project. */
const shells = {
  bash: `eval "$(edge-fleet completion bash)"
complete -p edge-fleet >/dev/null || exit 1
COMP_WORDS=(edge-fleet logs tokyo-) COMP_CWORD=2
_edge_fleet; printf '%s\\n' "\${COMPREPLY[@]}"`,
  zsh: `compdef() { :; }; compadd() { print -l $found; }
eval "$(edge-fleet completion zsh)"
words=(edge-fleet logs tokyo-) CURRENT=3
_edge_fleet`,
  fish: `edge-fleet completion fish | source
complete -C "edge-fleet logs tokyo-"`,
} as const;

for (const [shell, script] of Object.entries(shells)) {
  const missing = spawnSync(shell, ["--version"]).error !== undefined;
  test(`${shell} completes a device`, { skip: missing ? `needs ${shell}` : false }, (context: TestContext) => {
    const folder = temporaryDirectory(context);
    const stacks = writeInventory(context, FILES);
    mkdirSync(join(folder, "bin"));
    const command = `#!/bin/sh\nexec ${process.execPath} ${MAIN} "$@"\n`;
    writeFileSync(join(folder, "bin", "edge-fleet"), command, { mode: 0o755 });
    const { stdout, stderr } = spawnSync(shell, [...(shell === "fish" ? ["--no-config"] : []), "-c", script], {
      cwd: join(stacks, ".."),
      env: { ...process.env, HOME: folder, PATH: `${join(folder, "bin")}:${process.env.PATH}` },
      encoding: "utf8",
    });
    assert.deepEqual([stdout, stderr], ["tokyo-1\ntokyo-2\ntokyo-3\n", ""]);
  });
}
