/**
 * Host ranges as Ansible writes them: `node[01:50].example.com`, `db-[a:f]`, `n[0:10:2]`, to the names they stand for.
 * https://docs.ansible.com/ansible/latest/inventory_guide/intro_inventory.html#adding-ranges-of-hosts
 */

/** Most names of one pattern: a slip such as `[1:1000000]` must not fill the memory. */
const MAX_NAMES = 10_000;
const RANGE = /\[([^[\]:]*):([^[\]:]*)(?::(\d+))?\]/;

/**
 * @returns the names, in order; the pattern itself when it has no range
 * @throws Error saying what is wrong with the range
 */
export function expandRange(pattern: string): string[] {
  const match = RANGE.exec(pattern);
  if (match === null) return [pattern];
  const [whole, from = "", to = "", step = "1"] = match;
  const head = pattern.slice(0, match.index);
  const tail = pattern.slice(match.index + whole.length);
  const names = rangeParts(from === "" ? "0" : from, to, Number(step)).flatMap((part) =>
    expandRange(tail).map((rest) => `${head}${part}${rest}`),
  );
  if (names.length > MAX_NAMES) throw new Error(`stands for more than ${MAX_NAMES} hosts - write a shorter range`);
  return names;
}

function rangeParts(from: string, to: string, step: number): string[] {
  const fix = "write e.g. [01:50] or [a:f]";
  if (step === 0) throw new Error(`has a range with step 0 - ${fix}`);
  const numeric = /^\d+$/.test(from) && /^\d+$/.test(to);
  if (!numeric && !(/^[A-Za-z]$/.test(from) && /^[A-Za-z]$/.test(to)))
    throw new Error(`has a range that cannot be read - ${fix}`);
  const [first, last] = numeric ? [Number(from), Number(to)] : [from.charCodeAt(0), to.charCodeAt(0)];
  if (last < first || (last - first) / step >= MAX_NAMES)
    throw new Error(`has a range that ends before it begins or never - ${fix}`);
  const width = from.length > 1 && from.startsWith("0") ? from.length : 0;
  const count = Math.floor((last - first) / step) + 1;
  return Array.from({ length: count }, (_, index) => {
    const value = first + index * step;
    return numeric ? String(value).padStart(width, "0") : String.fromCharCode(value);
  });
}
