#!/usr/bin/env node
/**
 * What `npx edge-fleet` starts: JavaScript that any Node reads, so that one that is too old hears so before it meets
 * TypeScript or what it does not know. Runs the sources in a checkout, and what was built from them in an installed package.
 */
import { existsSync } from "node:fs";
import module from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  process.stderr.write(
    `error: edge-fleet needs Node 22.18 or later, and this is ${process.versions.node} - install it, e.g. from https://nodejs.org\n`,
  );
  process.exitCode = 2;
} else {
  // Not Node's default below /tmp, where another user of the machine could leave code for this one to run.
  const caches = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
  module.enableCompileCache(join(caches, "edge-fleet", "compiled"));
  const sources = new URL("./main.ts", import.meta.url);
  await import(existsSync(sources) ? sources.href : new URL("../dist/cli/main.js", import.meta.url).href);
}
