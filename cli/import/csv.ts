/**
 * A CSV file of devices, as an asset system exports it, to machines. Columns are named as in a `devicesFrom` file, or by
 * the names that people use; `region` and `model` may be columns too.
 */
import { parse } from "csv-parse/sync";
import type { Position } from "../../components/inventory/index.ts";
import { formatProblem } from "../../components/inventory/problems.ts";
import { bareHost, type SourceHost, type SourceInventory } from "./host.ts";
import { isSecretName, LeftOutList } from "./left-out.ts";

/** Column names that people use, and the field each one means. */
const ALIASES: Readonly<Record<string, string>> = {
  name: "id",
  hostname: "id",
  device: "id",
  device_id: "id",
  ip: "host",
  address: "host",
  ip_address: "host",
  ansible_host: "host",
  user: "ssh.user",
  username: "ssh.user",
  ssh_user: "ssh.user",
  port: "ssh.port",
  ssh_port: "ssh.port",
  site: "labels.site",
  hardware: "model",
};

/** Fields of a device that a column may carry beside id, host, region, model, ssh.user and ssh.port. */
const FIELDS =
  /^(ring|distribution|joins|hostKey|(labels|values)\.[A-Za-z0-9._/-]+|(k3s|k0s|microk8s)\.version|gitops\.engine|network\.(shape|nodeIp|interface)|time\.zone|security|ssh\.proxy\.(host|port|user|hostKey))$/;
const NUMBERS = ["ssh.port", "ssh.proxy.port"];

/** @param file name for messages */
export function parseCsvSource(file: string, text: string): SourceInventory {
  const nothing = { hosts: [], leftOut: [], secrets: [], notes: [] };
  const at = (line: number, column = 1): Position => ({ file, line, column });
  let rows: { record: string[]; info: { lines: number } }[];
  try {
    const options = { info: true, skip_empty_lines: true, trim: true, bom: true, relax_column_count: true } as const;
    rows = parse(text, options) as unknown as typeof rows;
  } catch (error) {
    const code = (error as { code?: string }).code ?? "unreadable";
    const line = (error as { lines?: number }).lines ?? 1;
    return { ...nothing, problems: [formatProblem(at(line), "(csv)", `is not valid CSV (${code}) - mend the syntax`)] };
  }
  const header = rows.shift()?.record ?? [];
  const columns = header.map((name) => ALIASES[name.toLowerCase()] ?? name);
  const missing = ["id", "host"].filter((field) => !columns.includes(field));
  const twice = columns.filter((field, index) => columns.indexOf(field) !== index && isRead(field));
  if (missing.length > 0 || twice.length > 0) {
    const mend =
      missing.length > 0
        ? `has no column ${missing.join(" and no column ")} - name the columns id,host,model,…`
        : `names the field ${twice[0]} twice - remove one column`;
    return { ...nothing, problems: [formatProblem(at(1), "(header)", mend)] };
  }
  const left = new LeftOutList();
  let column = 1;
  for (const [index, name] of header.entries()) {
    if (!isRead(columns[index] ?? ""))
      left.add(name, name, at(1, column), "no field of a device: use labels.<key> or values.<key> to keep it");
    column += name.length + 1;
  }
  const problems = rows.flatMap(({ record, info }, index) =>
    record.length > columns.length
      ? [
          formatProblem(
            at(info.lines),
            `row[${index}]`,
            `has ${record.length} cells for ${columns.length} columns - quote commas`,
          ),
        ]
      : [],
  );
  const hosts = rows.map(({ record, info }, index) => readRow(columns, record, at(info.lines), `row[${index}]`));
  return { hosts, problems, leftOut: left.fields, secrets: left.secrets, notes: [] };
}

function isRead(field: string): boolean {
  if (["id", "host", "region", "model", "ssh.user", "ssh.port"].includes(field)) return true;
  return FIELDS.test(field) && !isSecretName(field.split(".").at(-1) ?? "");
}

function readRow(columns: readonly string[], record: readonly string[], position: Position, path: string): SourceHost {
  const cells = new Map(columns.map((field, index) => [field, record[index] ?? ""]));
  const cell = (field: string): string | undefined => cells.get(field) || undefined;
  const fields: Record<string, string | number> = {};
  for (const [field, text] of cells) {
    if (!FIELDS.test(field) || !isRead(field) || text === "" || field === "joins") continue;
    fields[field] = NUMBERS.includes(field) && /^\d+$/.test(text) ? Number(text) : text;
  }
  const port = cell("ssh.port");
  return {
    ...bareHost(cell("id") ?? "", cell("host") ?? "", position, path),
    user: cell("ssh.user"),
    port: port === undefined ? undefined : Number(port),
    server: cell("joins"),
    region: cell("region"),
    model: cell("model"),
    fields,
  };
}
