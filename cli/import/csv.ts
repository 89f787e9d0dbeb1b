/**
 * A CSV file of devices, as an asset system exports it, to machines. Columns are named as in a `devicesFrom` file, or by
 * the names that people use; `region` and `model` may be columns too.
 */
import { type CsvCell, parseCsv } from "../../components/inventory/csv.ts";
import { type Position, RELEASE_FIELDS } from "../../components/inventory/index.ts";
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

/** Fields of a device that a column may carry beside {@link OWN_FIELDS} and those that pin a release. */
const FIELDS =
  /^(ring|distribution|joins|(labels|values)\.[A-Za-z0-9._/-]+|gitops\.engine|network\.(shape|nodeIp|interface)|time\.zone|security|ssh\.proxy\.(host|port|user|hostKey))$/;
/** Fields of a machine itself. */
const OWN_FIELDS = ["id", "host", "region", "model", "hostKey", "ssh.user", "ssh.port"];
const NUMBERS = ["ssh.port", "ssh.proxy.port"];

/** @param file name for messages */
export function parseCsvSource(file: string, text: string): SourceInventory {
  const problems: string[] = [];
  const { header, rows } = parseCsv(file, text, problems);
  const at = ({ line, column }: Pick<CsvCell, "line" | "column">): Position => ({ file, line, column });
  const columns = header.map(({ value }) => ALIASES[value.toLowerCase()] ?? value);
  if (problems.length === 0) {
    const missing = ["id", "host"].filter((field) => !columns.includes(field));
    const twice = columns.findIndex((field, index) => columns.indexOf(field) !== index && isRead(field));
    const refuse = (cell: CsvCell | undefined, message: string) =>
      problems.push(formatProblem(at(cell ?? { line: 1, column: 1 }), "(header)", message));
    if (missing.length > 0)
      refuse(header[0], `has no column ${missing.join(" and no column ")} - name the columns id,host,model,…`);
    else if (twice >= 0) refuse(header[twice], `names the field ${columns[twice]} twice - remove one column`);
  }
  if (problems.length > 0) return { hosts: [], leftOut: [], secrets: [], notes: [], problems };
  const left = new LeftOutList();
  for (const [index, cell] of header.entries()) {
    if (!isRead(columns[index] ?? "") && cell.value !== "")
      left.add(cell.value, cell.value, at(cell), "no field of a device: use labels.<key> or values.<key> to keep it");
  }
  const hosts = rows.map((cells, index) => {
    const path = `row[${index}]`;
    const stray = cells.slice(columns.length).find(({ value }) => value !== "");
    const message = `stands behind the ${columns.length} columns of the header - quote commas`;
    if (stray !== undefined) problems.push(formatProblem(at(stray), path, message));
    const record = cells.map(({ value }) => value);
    return readRow(columns, record, { file, line: cells[0]?.line ?? 1, column: 1 }, path);
  });
  return { hosts, problems, leftOut: left.fields, secrets: left.secrets, notes: [] };
}

function isRead(field: string): boolean {
  if (OWN_FIELDS.includes(field)) return true;
  return isSetting(field) && !isSecretName(field.split(".").at(-1) ?? "");
}

function isSetting(field: string): boolean {
  return FIELDS.test(field) || RELEASE_FIELDS.includes(field);
}

function readRow(columns: readonly string[], record: readonly string[], position: Position, path: string): SourceHost {
  const cells = new Map(columns.map((field, index) => [field, record[index] ?? ""]));
  const cell = (field: string): string | undefined => cells.get(field) || undefined;
  const fields: Record<string, string | number> = {};
  for (const [field, text] of cells) {
    if (!isSetting(field) || !isRead(field) || text === "" || field === "joins") continue;
    fields[field] = NUMBERS.includes(field) && /^\d+$/.test(text) ? Number(text) : text;
  }
  const port = cell("ssh.port");
  return {
    ...bareHost(cell("id") ?? "", cell("host") ?? "", position, path),
    user: cell("ssh.user"),
    port: port === undefined ? undefined : Number(port),
    hostKey: cell("hostKey"),
    server: cell("joins"),
    region: cell("region"),
    model: cell("model"),
    fields,
  };
}
