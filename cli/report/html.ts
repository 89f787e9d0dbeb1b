/** HTML that cannot be broken out of: a tagged template escapes all that is put into it, but what is HTML already. Pure. */

/** HTML, as against text. */
export class Html {
  readonly source: string;

  /** @param source is taken as it is */
  constructor(source: string) {
    this.source = source;
  }
}

/** What may be put into a template. */
export type HtmlPart = string | number | Html | readonly HtmlPart[];

/** Text between tags or quoted attributes. */
export function html(strings: TemplateStringsArray, ...parts: readonly HtmlPart[]): Html {
  return new Html(
    strings.map((text, index) => text + (index < parts.length ? write(parts[index] ?? "") : "")).join(""),
  );
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function write(part: HtmlPart): string {
  if (part instanceof Html) return part.source;
  if (typeof part === "object") return part.map(write).join("");
  return String(part).replace(/[&<>"']/g, (character) => ENTITIES[character] ?? "");
}
