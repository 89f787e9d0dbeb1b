/** The package that this command belongs to, a checkout or an installed one: its folder and its manifest. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** What the command reads from package.json. */
export interface PackageManifest {
  readonly name: string;
  readonly version: string;
  /** Range of the Node releases that run it. */
  readonly engines: { readonly node: string };
  /** Ranges by package name. */
  readonly dependencies: Readonly<Record<string, string>>;
}

// A package resolves its own name, from the sources and from dist/ alike.
const FILE = createRequire(import.meta.url).resolve("edge-fleet/package.json");

/** Folder of the package. */
export const PACKAGE_FOLDER = dirname(FILE);

/** Whether the sources themselves run, and not what was built from them. */
export const IS_CHECKOUT = import.meta.filename.endsWith(".ts");

/** Its package.json. */
export const MANIFEST = JSON.parse(readFileSync(FILE, "utf8")) as PackageManifest;

/** Text of its Pulumi.yaml: the project of the example fleet, and the pattern of every other. */
export function readProjectFile(): string {
  return readFileSync(join(PACKAGE_FOLDER, "Pulumi.yaml"), "utf8");
}
