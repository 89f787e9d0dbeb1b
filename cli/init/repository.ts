/**
 * What makes a folder the repository of a fleet, beside the fleet's data: the Pulumi project, the package that it runs
 * on, the program of three lines, and what Git leaves alone. Made of the package's own files. A file that is there
 * already stays if it does the same.
 */
import { type Document, parseDocument } from "yaml";
import { MANIFEST, readProjectFile } from "../package.ts";

/** One of the files. */
export interface RepositoryFile {
  /** Below the root of the repository. */
  readonly path: string;
  readonly text: string;
  /** Whether a file that is there already may stay as it is. */
  readonly suits: (present: string) => boolean;
  /** What to do about one that may not, or undefined where it is to be another's whole. */
  readonly fix: string | undefined;
}

/** What a checkout must not hold: packages, what a run writes (host keys, the tree's scratch). */
const IGNORED = ["node_modules/", ".edge-fleet/", ".fleet-write/"];

const PROGRAM = `import { runStack } from "${MANIFEST.name}";\n\nexport default runStack;\n`;

const GIT_ATTRIBUTES =
  "# LF everywhere: emitted files are compared byte for byte, and scripts run on the devices.\n* text=auto eol=lf\n";

/**
 * @param fleet name of the fleet
 * @param folders of the inventory and the tree, below the root, as Pulumi.yaml names them
 */
export function repositoryFiles(
  fleet: string,
  folders: { readonly inventory: string; readonly tree: string },
): readonly RepositoryFile[] {
  const same = (path: string, text: string): RepositoryFile => ({
    path,
    text,
    suits: (present) => present === text,
    fix: undefined,
  });
  return [
    same("Pulumi.yaml", projectText(folders)),
    {
      path: "package.json",
      text: manifestText(fleet),
      suits: runsProgram,
      fix: `npm install ${MANIFEST.name} && npm pkg set type=module`,
    },
    same("index.ts", PROGRAM),
    {
      path: ".gitignore",
      text: `${IGNORED.join("\n")}\n`,
      suits: (present) => IGNORED.every((line) => linesOf(present).includes(line)),
      fix: `add the lines ${IGNORED.join(" ")}`,
    },
    {
      path: ".gitattributes",
      text: GIT_ATTRIBUTES,
      suits: (present) => linesOf(present).some((line) => /^\*\s+(text(=auto)?\s+)?eol=lf$/.test(line)),
      fix: "add the line * text=auto eol=lf",
    },
  ];
}

/** The package's own Pulumi.yaml, with its folders: one text says what can be configured, and a new release brings it. */
function projectText({ inventory, tree }: { readonly inventory: string; readonly tree: string }): string {
  const text = readProjectFile();
  const project: Document = parseDocument(text);
  const wanted: [path: string[], value: string][] = [
    [["stackConfigDir"], inventory],
    [["config", "edge-fleet:inventory", "default"], inventory],
    [["config", "edge-fleet:tree", "default"], tree],
  ];
  const others = wanted.filter(([path, value]) => project.getIn(path) !== value);
  for (const [path, value] of others) project.setIn(path, value);
  return others.length === 0 ? text : project.toString({ lineWidth: 0 });
}

function manifestText(fleet: string): string {
  const { name, version, engines } = MANIFEST;
  const manifest = { name: fleet, private: true, type: "module", engines, dependencies: { [name]: `^${version}` } };
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

/** Pulumi starts index.ts as a module only where the manifest says so, whatever Node itself would do. */
function runsProgram(text: string): boolean {
  try {
    const { type, dependencies } = JSON.parse(text) as { type?: unknown; dependencies?: Record<string, unknown> };
    return type === "module" && dependencies?.[MANIFEST.name] !== undefined;
  } catch {
    return false;
  }
}

function linesOf(text: string): string[] {
  return text.split(/\r?\n/).map((line) => line.trim());
}
