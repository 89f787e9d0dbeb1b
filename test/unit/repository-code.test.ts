/** What the code itself must be like, by its syntax tree and its words: documented, short, used, and without mentions of what is gone. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { basename, join, posix } from "node:path";
import { test } from "node:test";
import ts from "typescript";
import { buildProgram } from "../../cli/program.ts";
import { DISTRIBUTION_NAMES } from "../../components/inventory/index.ts";
import { findCommand } from "./cli/command.ts";

const REPOSITORY = join(import.meta.dirname, "..", "..");
const MAX_FUNCTION_LINES = 50;

const find = (...patterns: string[]): string[] =>
  globSync(patterns, { cwd: REPOSITORY, exclude: ["**/node_modules/**"] }).sort();
const read = (path: string): string => readFileSync(join(REPOSITORY, path), "utf8");
const parse = (path: string): ts.SourceFile => ts.createSourceFile(path, read(path), ts.ScriptTarget.Latest, true);
const isTest = (path: string): boolean => path.endsWith(".test.ts");

const PRODUCT = find("index.ts", "{components,cli}/**/*.ts").map(parse);
const LAB = find("test/{lab,bench}/**/*.ts")
  .filter((path) => !isTest(path))
  .map(parse);

const hasModifier = (node: ts.Node, kind: ts.SyntaxKind): boolean =>
  ts.canHaveModifiers(node) && (ts.getModifiers(node) ?? []).some((modifier) => modifier.kind === kind);
const isDocumented = (node: ts.Node): boolean => ts.getJSDocCommentsAndTags(node).length > 0;
const lineOf = (node: ts.Node, position = node.getStart()): number =>
  node.getSourceFile().getLineAndCharacterOfPosition(position).line + 1;
const place = (node: ts.Node, name: string): string => `${node.getSourceFile().fileName}:${lineOf(node)} ${name}`;

/** What a file exports itself, by name. */
function exportsOf(file: ts.SourceFile): [name: string, node: ts.Statement][] {
  return file.statements
    .filter((statement) => hasModifier(statement, ts.SyntaxKind.ExportKeyword))
    .flatMap((statement): [string, ts.Statement][] => {
      if (ts.isVariableStatement(statement))
        return statement.declarationList.declarations.map(({ name }) => [name.getText(), statement]);
      const { name } = statement as ts.DeclarationStatement;
      return name === undefined ? [] : [[name.getText(), statement]];
    });
}

function eachNode(file: ts.Node, visit: (node: ts.Node) => void): void {
  const walk = (node: ts.Node): void => {
    visit(node);
    ts.forEachChild(node, walk);
  };
  walk(file);
}

test("everything that is exported has a doc comment", () => {
  const exported = [...PRODUCT, ...LAB].flatMap(exportsOf);
  assert.ok(exported.length > 500);
  const bare = exported.filter(([, node]) => !isDocumented(node)).map(([name, node]) => place(node, name));
  assert.deepEqual(bare, []);
});

test("every exported field that may be absent says what its absence means", () => {
  const bare = PRODUCT.flatMap(exportsOf).flatMap(([name, node]) => {
    if (!ts.isInterfaceDeclaration(node)) return [];
    return node.members
      .filter((member): member is ts.PropertySignature => ts.isPropertySignature(member))
      .filter(({ questionToken, type }) => questionToken !== undefined || mayBeUndefined(type))
      .filter((member) => !isDocumented(member))
      .map((member) => place(member, `${name}.${member.name.getText()}`));
  });
  assert.deepEqual(bare, []);
});

function mayBeUndefined(type: ts.TypeNode | undefined): boolean {
  if (type === undefined || !ts.isUnionTypeNode(type)) return false;
  return type.types.some(({ kind }) => kind === ts.SyntaxKind.UndefinedKeyword);
}

test("every file begins with what it decides", () => {
  const bare = PRODUCT.filter(({ text }) => !/^(#!.*\n)?\/\*\*/.test(text)).map(({ fileName }) => fileName);
  assert.deepEqual(bare, []);
});

test(`no function has more than ${MAX_FUNCTION_LINES} lines`, () => {
  const long: string[] = [];
  for (const file of [...PRODUCT, ...LAB.filter(({ fileName }) => fileName.startsWith("test/lab/"))])
    eachNode(file, (node) => {
      if (!ts.isFunctionLike(node) || !("body" in node) || node.body === undefined) return;
      const lines = lineOf(node, node.end) - lineOf(node) + 1;
      if (lines > MAX_FUNCTION_LINES) long.push(place(node, `${lines} lines`));
    });
  assert.deepEqual(long, []);
});

test("nothing is exported that only tests use", () => {
  const uses = new Map<string, number>();
  for (const file of [...PRODUCT, ...LAB])
    eachNode(file, (node) => {
      if (!ts.isIdentifier(node) || ts.findAncestor(node, isImportOrExport) !== undefined) return;
      uses.set(node.text, (uses.get(node.text) ?? 0) + 1);
    });
  const unused = PRODUCT.flatMap(exportsOf).filter(([name]) => (uses.get(name) ?? 0) < 2);
  assert.deepEqual(
    unused.map(([name, node]) => place(node, name)),
    [],
  );
});

const isImportOrExport = (node: ts.Node): boolean => ts.isImportDeclaration(node) || ts.isExportDeclaration(node);

interface Arrow {
  readonly from: string;
  readonly to: string;
  /** Types alone make no order of loading. */
  readonly typesOnly: boolean;
}

/** What a file imports from others of the repository, by path from its root. */
function arrowsOf(file: ts.SourceFile): Arrow[] {
  return file.statements.filter(isImportOrExport).flatMap((statement) => {
    const { moduleSpecifier } = statement as ts.ImportDeclaration | ts.ExportDeclaration;
    if (moduleSpecifier === undefined || !ts.isStringLiteral(moduleSpecifier)) return [];
    if (!moduleSpecifier.text.startsWith(".")) return [];
    const to = posix.join(posix.dirname(file.fileName), moduleSpecifier.text);
    return [{ from: file.fileName, to, typesOnly: isTypesOnly(statement as ts.ImportDeclaration) }];
  });
}

function isTypesOnly({ importClause }: ts.ImportDeclaration): boolean {
  const { phaseModifier, name, namedBindings } = importClause ?? {};
  if (phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  if (name !== undefined || namedBindings === undefined || !ts.isNamedImports(namedBindings)) return false;
  return namedBindings.elements.every(({ isTypeOnly }) => isTypeOnly);
}

/** Settings of distributions, which the inventory is made of. */
const SCHEMA = /^components\/plan\/distributions\/([a-z0-9]+\/)?schema\.ts$/;

test("imports go one way: cli to components, region to its parts, everything to the inventory, and none in a circle", () => {
  const arrows = PRODUCT.flatMap(arrowsOf);
  assert.ok(arrows.length > 500);
  const backwards = arrows.filter(
    ({ from, to }) =>
      (from.startsWith("components/") && to.startsWith("cli/")) ||
      (from.startsWith("components/inventory/") && !to.startsWith("components/inventory/") && !SCHEMA.test(to)) ||
      (SCHEMA.test(from) && !SCHEMA.test(to)) ||
      (/^components\/(?!region\/)[a-z]+\//.test(from) && to.startsWith("components/region/")),
  );
  assert.deepEqual(backwards, []);
  const imports = Map.groupBy(
    arrows.filter(({ typesOnly }) => !typesOnly),
    ({ from }) => from,
  );
  const circles = [...imports.keys()].map((file) => findCircle(imports, file)).filter((path) => path !== undefined);
  assert.deepEqual(circles, []);
});

const DISTRIBUTIONS = "components/plan/distributions/";
const distributionOf = (path: string): string | undefined =>
  DISTRIBUTION_NAMES.find((name) => path.startsWith(`${DISTRIBUTIONS}${name}/`));

/** Lines of code that name a distribution outside its folder, by file: its settings, its lock, and the list of all. */
const NAMING_LINES: Readonly<Record<string, number>> = {
  "components/inventory/distribution-schema.ts": 2 * DISTRIBUTION_NAMES.length + 1,
  "components/inventory/schema.ts": DISTRIBUTION_NAMES.length + 1,
  "components/plan/distributions/index.ts": 2 * DISTRIBUTION_NAMES.length,
};

/** Formats of other tools, which are named after distributions. */
const FOREIGN_FORMATS = /^cli\/(import\/(ansible-model|k0sctl|k3sup|run)|commands\/import)\.ts$/;

test("a distribution is one folder: elsewhere no code but its settings, its lock and the list of all names it", () => {
  const name = new RegExp(DISTRIBUTION_NAMES.join("|"), "i");
  const lines: Record<string, number> = {};
  for (const file of PRODUCT) {
    if (distributionOf(file.fileName) !== undefined || FOREIGN_FORMATS.test(file.fileName)) continue;
    const naming = new Set<number>();
    eachNode(file, (node) => {
      if (isWord(node) && name.test(node.text)) naming.add(lineOf(node));
    });
    if (naming.size > 0) lines[file.fileName] = naming.size;
  }
  assert.deepEqual(lines, NAMING_LINES);
});

test("the device program asks a distribution through its hooks alone", () => {
  const name = new RegExp(`\\b(${DISTRIBUTION_NAMES.join("|")})`, "i");
  const naming = find("components/device/program/*.sh").flatMap((path) =>
    read(path)
      .split("\n")
      .filter((line) => name.test(line.replace(/^ *#.*|"[^"]* [^"]*"|'[^']* [^']*'/g, "")))
      .map((line) => `${path}: ${line.trim()}`),
  );
  assert.deepEqual(naming, []);
});

/** A name, or a text that is no prose. */
function isWord(node: ts.Node): node is ts.Identifier | ts.LiteralLikeNode {
  return (
    ts.isIdentifier(node) ||
    ((ts.isLiteralExpression(node) || ts.isTemplateLiteralToken(node)) && !/\s/.test(node.text))
  );
}

test("no distribution takes anything from another's folder", () => {
  const arrows = PRODUCT.flatMap(arrowsOf).filter(({ from, to }) => {
    const own = distributionOf(from);
    const other = distributionOf(to);
    return own !== undefined && other !== undefined && own !== other;
  });
  assert.deepEqual(arrows, []);
});

/** The files on a way along imports back to the first one; undefined when there is none. */
function findCircle(imports: ReadonlyMap<string, readonly Arrow[]>, start: string): string[] | undefined {
  const cameFrom = new Map<string, string>();
  const queue = [start];
  for (const file of queue)
    for (const { to } of imports.get(file) ?? []) {
      if (to === start) return wayTo(cameFrom, file, start);
      if (cameFrom.has(to)) continue;
      cameFrom.set(to, file);
      queue.push(to);
    }
  return undefined;
}

function wayTo(cameFrom: ReadonlyMap<string, string>, last: string, start: string): string[] {
  const path = [last];
  while (path[0] !== undefined && path[0] !== start) path.unshift(cameFrom.get(path[0]) ?? start);
  return path;
}

test("commands and options that messages and comments name exist", async () => {
  const { commands } = await buildProgram();
  const wrong: string[] = [];
  for (const path of find("{components,cli}/**/*.{ts,sh}"))
    for (const [whole, name = "", rest = ""] of read(path).matchAll(
      /(?:`|run |use |see |npx )edge-fleet ([a-z][a-z-]*)((?: +(?:--[a-z-]+|[a-z]+|<[a-z]+>|\$\{[^}]*\}))*)/g,
    )) {
      const [command] = findCommand(commands, [name, ...rest.split(" ").filter((word) => word !== "")]);
      const known = ["--help", ...(command?.options.map(({ long }) => long) ?? [])];
      const unknown = [...rest.matchAll(/--[a-z-]+/g)].filter(([option]) => !known.includes(option));
      if (command === undefined || unknown.length > 0) wrong.push(`${path}: ${whole}`);
    }
  assert.deepEqual(wrong, []);
});

const FILE_NAMES = new Set(find("**/*.{ts,sh,go,yaml,json,md}").map((path) => basename(path)));
const COMMENT = /^\s*\/\*\*[\s\S]*?\*\/|^\s*\/\/.*$/gm;

test("files that comments name exist", () => {
  const wrong = find("{components,cli}/**/*.ts", "test/{lab,bench,golden}/**/*.ts", "{index,test/*}.ts").flatMap(
    (path) =>
      [...read(path).matchAll(COMMENT)]
        .flatMap(([comment]) => [...comment.matchAll(/(?<![\w./-])(?:[\w-]+\/)*([\w-]+(?:\.test)?\.(?:ts|sh))\b/g)])
        .filter(([, name = ""]) => !FILE_NAMES.has(name))
        .map(([whole]) => `${path}: ${whole}`),
  );
  assert.deepEqual(wrong, []);
});

for (const path of find("*.md", "docs/*.md"))
  test(`${path} names files that exist`, () => {
    const words = [...read(path).matchAll(/`([^`\n]+)`/g)].map(([, code = ""]) => code);
    const paths = words.filter((word) => /^(components|cli|test|docs|\.ci)\/[\w./<>{},*-]*$/.test(word));
    const gone = paths.filter((word) => find(word.replace(/\/$/, "").replace(/<[^>]*>/g, "*")).length === 0);
    const files = words.filter((word) => /^[\w<>{},-]+\.(ts|sh)$/.test(word) && !word.includes("<"));
    const unknown = files.filter((word) => find(`**/${word}`).length === 0);
    assert.deepEqual([...gone, ...unknown], []);
  });
