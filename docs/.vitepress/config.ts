/**
 * The documents as a static site: from README.md, README.ja.md, CHANGELOG.md, CONTRIBUTING.md and docs/*.md, as they lie in
 * the repository, to pages with a menu and a search that needs no server. A dead link ends the build. `npm run docs`.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig, type MarkdownRenderer } from "vitepress";
import { githubAnchor } from "./anchor.ts";
import { splitWords } from "./words.ts";

const REPOSITORY = join(import.meta.dirname, "..", "..");

/** What the README links to and is no document. */
const LICENSE = "LICENSE";

export default defineConfig({
  title: "edge-fleet",
  description: "Thousands of small Linux devices as autonomous Kubernetes clusters, over SSH, with Pulumi",
  srcDir: "..",
  srcExclude: ["**/node_modules/**", "test/**", "dist/**"],
  rewrites: { "README.md": "index.md" },
  outDir: ".vitepress/dist",
  cacheDir: "../node_modules/.cache/vitepress",
  base: process.env.DOCS_BASE ?? "/",
  // Else a browser asks for /favicon.ico.
  head: [["link", { rel: "icon", href: "data:," }]],
  ignoreDeadLinks: [new RegExp(`^\\./${LICENSE}$`)],
  markdown: { anchor: { slugify: githubAnchor }, config: (md) => md.core.ruler.push("readme", linkToStart) },
  themeConfig: {
    search: {
      provider: "local",
      options: { detailedView: true, miniSearch: { options: { tokenize: splitWords } } },
    },
    outline: "deep",
    sidebar: [
      page("edge-fleet", ""),
      page("Day 2", "docs/operations"),
      {
        text: "Reference",
        items: [
          page("Inventory", "docs/inventory"),
          page("JSON documents", "docs/json"),
          page("Preflight findings", "docs/preflight"),
        ],
      },
      {
        text: "Trust",
        items: [
          page("Hardening", "docs/hardening"),
          page("Threat model", "docs/threats"),
          page("What is proven", "docs/proven"),
          page("Beside other tools", "docs/comparison"),
        ],
      },
      {
        text: "Project",
        items: [
          page("Architecture", "docs/architecture"),
          page("Contributing", "CONTRIBUTING"),
          page("Changelog", "CHANGELOG"),
        ],
      },
      {
        text: "日本語",
        items: [page("はじめに", "README.ja"), page("クイックスタート", "docs/quick-start.ja")],
      },
    ],
  },
  buildEnd: ({ outDir }) => {
    const text = readFileSync(join(REPOSITORY, LICENSE), "utf8").replaceAll("<", "&lt;");
    writeFileSync(join(outDir, `${LICENSE}.html`), `<!doctype html><title>${LICENSE}</title><pre>${text}</pre>\n`);
  },
});

/** Links to the README lead to the start page that it is here: VitePress rewrites the page, not what leads to it. */
function linkToStart({ tokens }: Parameters<Parameters<MarkdownRenderer["core"]["ruler"]["push"]>[1]>[0]): void {
  for (const { children } of tokens) {
    for (const token of children ?? []) {
      const href = token.attrGet("href");
      if (href !== null) token.attrSet("href", href.replace(/^((?:\.\.?\/)*)README\.md/, "$1index.md"));
    }
  }
}

function page(text: string, path: string): { text: string; link: string } {
  return { text, link: `/${path}` };
}
