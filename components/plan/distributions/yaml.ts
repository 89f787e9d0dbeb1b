/** The YAML of files on devices. */
import { stringify } from "yaml";

/** Texts by what they were made from. Most files of a device are those of its model: 5,000 devices have a few dozen. */
const texts = new Map<string, string>();

/** Renders a value as YAML, a string of any length on one line. Not for secrets: texts are kept. */
export function yamlText(value: unknown): string {
  const key = JSON.stringify(value);
  const known = texts.get(key);
  if (known !== undefined) return known;
  const text = stringify(value, { lineWidth: 0 });
  texts.set(key, text);
  return text;
}
