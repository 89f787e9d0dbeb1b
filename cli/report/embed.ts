/**
 * The data inside of a page, as a script element that the page reads and the next report compares with. Columns with
 * each distinct value once, since thousands of devices share most of them. What comes back is somebody's file, so it is
 * checked like any foreign input. Pure.
 */
import { z } from "zod";
import { type ReportDevice, type ReportFacts, STATES, VERDICTS } from "./model.ts";

/** Id of the element. */
export const DATA_ELEMENT = "edge-fleet-report";

/** What is embedded of a device. */
const DEVICE_FIELDS = [
  "id",
  "region",
  "model",
  "ring",
  "state",
  "code",
  "reason",
  "release",
  "wanted",
  "revision",
  "health",
  "contact",
] as const satisfies readonly (keyof ReportDevice)[];

const text = z.string().max(4000);
const time = z.iso.datetime({ offset: true });

/** One column: its distinct values, and for each device which of them. */
const ColumnSchema = z.strictObject({ values: z.array(text), rows: z.array(z.int().min(0)) });

const FactsSchema = z.object({
  version: z.literal(1),
  fleet: text,
  madeAt: time,
  regions: z.array(z.object({ name: text, lastRun: text.nullable(), running: z.boolean() })),
  rings: z.array(
    z.object({
      name: text,
      revision: text.nullable(),
      since: text.nullable(),
      soakLeftMs: z.number().nullable(),
      frozen: text.nullable(),
      unwell: z.array(text).nullable(),
    }),
  ),
  devices: z.record(z.enum(DEVICE_FIELDS), ColumnSchema),
});

const DeviceSchema = z.object({
  ...Object.fromEntries(DEVICE_FIELDS.map((field) => [field, text] as const)),
  state: z.enum(STATES),
  health: z.enum(["", ...VERDICTS]),
}) as unknown as z.ZodType<ReportDevice>;

/** The element. */
export function embedFacts({ fleet, madeAt, regions, rings, devices }: ReportFacts): string {
  const columns = DEVICE_FIELDS.map((field) => [field, packColumn(devices.map((device) => device[field]))] as const);
  const document = { version: 1, fleet, madeAt, regions, rings, devices: Object.fromEntries(columns) };
  // "<" could end the element, and "<!--" begin what swallows its end.
  const json = JSON.stringify(document).replaceAll("<", "\\u003c");
  return `<script type="application/json" id="${DATA_ELEMENT}">${json}</script>`;
}

/** The facts in a page. @returns undefined where it is no report, or one that is broken or of another release's form */
export function extractFacts(page: string): ReportFacts | undefined {
  const [, json] = page.split(`<script type="application/json" id="${DATA_ELEMENT}">`, 2);
  try {
    const { data } = FactsSchema.safeParse(JSON.parse(json?.split("</script>", 1)[0] ?? ""));
    if (data === undefined) return undefined;
    const { fleet, madeAt, regions, rings } = data;
    return { fleet, madeAt, regions, rings, devices: unpackDevices(data.devices) };
  } catch {
    return undefined;
  }
}

type Column = z.infer<typeof ColumnSchema>;

function packColumn(cells: readonly string[]): Column {
  const positions = new Map<string, number>();
  const rows = cells.map((cell) => {
    const known = positions.get(cell) ?? positions.size;
    positions.set(cell, known);
    return known;
  });
  return { values: [...positions.keys()], rows };
}

/** @throws ZodError where a column is shorter than another one, or a word is none of the report's */
function unpackDevices(columns: Readonly<Record<(typeof DEVICE_FIELDS)[number], Column>>): ReportFacts["devices"] {
  return columns.id.rows.map((_, row) =>
    DeviceSchema.parse(
      Object.fromEntries(DEVICE_FIELDS.map((field) => [field, columns[field].values[columns[field].rows[row] ?? -1]])),
    ),
  );
}
