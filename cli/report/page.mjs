// What the page of a report does in the browser: the list of devices with its filters, search, order and details. The address
// after the # is the filter, so that a link, a reload and the way back keep it. Text only ever becomes text, never HTML.

const STEP = 100;
const FILTERS = ["region", "model", "ring", "state", "health", "code", "release"];
const COLUMNS = [
  ["id", "Device"],
  ["region", "Region"],
  ["model", "Model"],
  ["ring", "Ring"],
  ["state", "State"],
  ["release", "Release"],
  ["revision", "Commit"],
  ["health", "Health"],
  ["contact", "Last contact"],
  ["reason", "Reason"],
];
const LABELS = {
  ...{ state: "State", code: "Code", reason: "Reason", region: "Region", model: "Model", ring: "Ring" },
  ...{ release: "Release", wanted: "Wanted release", revision: "Commit", health: "Health", contact: "Last contact" },
};

const byId = (id) => document.getElementById(id);
const facts = JSON.parse(byId("edge-fleet-report").textContent);
const devices = facts.devices.id.rows.map((_, row) =>
  Object.fromEntries(Object.entries(facts.devices).map(([field, { values, rows }]) => [field, values[rows[row]]])),
);
for (const device of devices) device.text = Object.values(device).join("\n").toLowerCase();

const form = byId("filters");
const list = byId("list");
const dialog = byId("device");
const shownColumns = COLUMNS.filter(([field]) => devices.some((device) => device[field] !== ""));

/** Words of a field in the order that the report gives them, by its choices in the form. */
const orderOf = (field) => [...(form.elements[field]?.options ?? [])].map(({ value }) => value);
const ORDERS = { state: orderOf("state"), health: orderOf("health"), ring: orderOf("ring") };

let filter = {};
let sorted = { field: "state", down: false };
let limit = STEP;

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function compare(a, b) {
  const { field, down } = sorted;
  const order = ORDERS[field];
  const difference =
    order === undefined
      ? a[field] < b[field]
        ? -1
        : Number(a[field] > b[field])
      : order.indexOf(a[field]) - order.indexOf(b[field]);
  return (down ? -difference : difference) || (a.id < b.id ? -1 : 1);
}

function matching() {
  const words = (filter.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  return devices
    .filter(
      (device) =>
        FILTERS.every((field) => filter[field] === undefined || device[field] === filter[field]) &&
        words.every((word) => device.text.includes(word)),
    )
    .sort(compare);
}

function show() {
  const found = matching();
  const told = FILTERS.filter((field) => filter[field] !== undefined).map((field) => `${field} ${filter[field]}`);
  const which = told.length === 0 ? "" : `: ${told.join(", ")}`;
  byId("found").textContent =
    `${found.length.toLocaleString("en")} of ${devices.length.toLocaleString("en")} devices${which}`;
  const table = element("table", {}, headOf(), element("tbody", {}, ...found.slice(0, limit).map(rowOf)));
  table.ariaLabel = "Devices";
  list.replaceChildren(...(found.length === 0 ? [] : [table]));
  if (found.length > limit) {
    const more = Math.min(STEP, found.length - limit);
    list.append(
      element(
        "p",
        { className: "more" },
        button(`Show ${more} more`, () => showMore(STEP)),
        " ",
        button("Show all", () => showMore(found.length)),
      ),
    );
  }
}

function showMore(count) {
  const before = limit;
  limit += count;
  show();
  list.querySelectorAll("tbody button")[before]?.focus();
}

function button(text, onclick, properties = {}) {
  return element("button", { type: "button", onclick, ...properties }, text);
}

function headOf() {
  const cells = shownColumns.map(([field, label]) => {
    const cell = element(
      "th",
      { scope: "col", className: field },
      button(label, () => sortBy(field)),
    );
    if (sorted.field === field) cell.ariaSort = sorted.down ? "descending" : "ascending";
    return cell;
  });
  return element("thead", {}, element("tr", {}, ...cells));
}

function sortBy(field) {
  sorted = { field, down: sorted.field === field && !sorted.down };
  show();
  list.querySelector(`th.${field} button`)?.focus();
}

function rowOf(device) {
  return element(
    "tr",
    {},
    ...shownColumns.map(([field]) => element("td", { className: field }, cellOf(device, field))),
  );
}

function cellOf(device, field) {
  const value = device[field];
  if (field === "id") return button(value, () => showDevice(device), { ariaHasPopup: "dialog" });
  if (value === "") return "";
  if (field === "state" || field === "health") return element("span", { className: `badge ${value}` }, value);
  if (field === "revision") return element("code", { title: value }, value.slice(0, 8));
  if (field === "contact") return element("time", { dateTime: value, title: value }, ago(value));
  return field === "reason" && device.code !== "" ? `${device.code}: ${value}` : value;
}

function showDevice(device) {
  const details = Object.entries(LABELS)
    .filter(([field]) => device[field] !== "")
    .flatMap(([field, label]) => [element("dt", {}, label), element("dd", {}, device[field])]);
  const commands = [`edge-fleet status ${device.id}`, `edge-fleet logs ${device.id}`, `edge-fleet ssh ${device.id}`];
  const next =
    device.state === "applied" || device.state === "removed"
      ? []
      : [`edge-fleet up ${device.region} --device ${device.id}`];
  dialog.replaceChildren(
    element("h3", { id: "device-name" }, device.id),
    element("dl", {}, ...details),
    element("pre", {}, [...commands, ...next].join("\n")),
    button("Close", () => dialog.close(), { autofocus: true }),
  );
  dialog.showModal();
}

function ago(time) {
  const minutes = Math.max(0, Math.floor((Date.now() - Date.parse(time)) / 60_000));
  if (minutes < 60) return `${minutes} min ago`;
  return minutes < 2880 ? `${Math.floor(minutes / 60)} h ago` : `${Math.floor(minutes / 1440)} days ago`;
}

/** What stands after the # of the address, where that is a filter: other places of the page are reached that way too. */
function readAddress() {
  const text = location.hash.slice(1);
  if (text !== "all" && !text.includes("=")) return undefined;
  const found = [...new URLSearchParams(text)].filter(
    ([field, value]) => [...FILTERS, "q"].includes(field) && value !== "",
  );
  return Object.fromEntries(found);
}

function take(wanted) {
  filter = wanted;
  limit = STEP;
  for (const { name, options, value } of [...form.elements].filter(({ name }) => name !== "")) {
    const chosen = filter[name] ?? "";
    const known = options === undefined || [...options].some((option) => option.value === chosen);
    if (value !== chosen) form.elements[name].value = known ? chosen : "";
  }
  show();
}

function fromForm() {
  const chosen = [...new FormData(form)].filter(([, value]) => value !== "");
  const kept = ["code", "release"]
    .filter((field) => filter[field] !== undefined)
    .map((field) => [field, filter[field]]);
  const wanted = Object.fromEntries([...chosen, ...kept]);
  history.replaceState(null, "", `#${new URLSearchParams(wanted).toString() || "all"}`);
  take(wanted);
}

function followAddress() {
  const wanted = readAddress();
  if (wanted === undefined) return;
  take(wanted);
  byId("devices-title").focus();
  byId("devices").scrollIntoView();
}

function tellAge() {
  byId("age").textContent = `Made ${ago(facts.madeAt)}`;
  byId("age").hidden = false;
}

/** Asks the server that the page came from, where one did, for a newer report. */
async function refresh() {
  const note = byId("age");
  try {
    const { madeAt, problem } = await (await fetch("/made-at")).json();
    if (madeAt !== facts.madeAt) location.reload();
    else if (problem !== "") note.textContent = `Made ${ago(facts.madeAt)}; it cannot be made anew: ${problem}`;
    else tellAge();
  } catch {
    note.textContent = `Made ${ago(facts.madeAt)}; edge-fleet report --serve has ended`;
  }
}

form.hidden = false;
form.addEventListener("input", fromForm);
form.addEventListener("submit", (event) => event.preventDefault());
form.querySelector("button").addEventListener("click", () => {
  history.replaceState(null, "", "#all");
  take({});
});
addEventListener("hashchange", followAddress);
addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.closest("input, select, dialog") !== null) return;
  event.preventDefault();
  form.elements.q.focus();
});
take(readAddress() ?? {});
tellAge();
if ("live" in document.documentElement.dataset) setInterval(refresh, 10_000);
else setInterval(tellAge, 60_000);
