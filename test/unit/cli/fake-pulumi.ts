/** A stand-in for the `pulumi` CLI, for commands that read stacks: by what `pulumi stack output|ls --help` of 3.274.1 say. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { temporaryDirectory } from "./inventory.ts";

/** `stack output` is the file of the stack's name, `stack ls` all of them with an age. */
const PULUMI = `#!/bin/sh
case $2 in
  ls) exec cat "$FOLDER/list" ;;
  output)
    stack=$(echo "$*" | sed 's/.*--stack \\([a-z]*\\).*/\\1/')
    [ -f "$FOLDER/$stack.json" ] || { echo "error: no stack named '$stack' found" >&2; exit 6; }
    exec cat "$FOLDER/$stack.json" ;;
esac
exit 1
`;

/**
 * Stacks that have these outputs, and whose last run was three hours ago.
 * @returns environment of a command that meets them; `FOLDER` holds `<stack>.json`
 */
export function fakePulumi(context: TestContext, outputs: Readonly<Record<string, unknown>>): Record<string, string> {
  const folder = temporaryDirectory(context);
  mkdirSync(join(folder, "bin"));
  writeFileSync(join(folder, "bin", "pulumi"), PULUMI, { mode: 0o755 });
  for (const [name, value] of Object.entries(outputs))
    writeFileSync(join(folder, `${name}.json`), JSON.stringify(value));
  const lastUpdate = new Date(Date.now() - 3 * 3_600_000 - 60_000).toISOString();
  const list = Object.keys(outputs).map((name) => ({ name, lastUpdate, resourceCount: 5 }));
  writeFileSync(join(folder, "list"), JSON.stringify(list));
  return { PATH: `${join(folder, "bin")}:${process.env.PATH}`, FOLDER: folder, KUBECONFIG: "" };
}
