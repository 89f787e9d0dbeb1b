import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { editRegionLock, type Pin } from "../../../cli/inventory-edit/lock.ts";
import { openFleetAuthority } from "../../../components/identity/authority.ts";
import { deviceFingerprints } from "../../../components/identity/device.ts";
import { planBlocklist, renderBlocklist, revokedIdentities } from "../../../components/identity/revocation.ts";
import { loadInventory, resolveRegion } from "../../../components/inventory/index.ts";
import { writeInventory } from "../cli/inventory.ts";
import { buildProfile, gitopsOf } from "../device/profile.ts";
import { authorityKey, identityLine } from "./keys.ts";

const AUTHORITY = openFleetAuthority(authorityKey());
const HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGq3aTl0pY4aZ1CfMEiZlqkBv2f6dO0tSNUuKcTzJbZH";
const keyOf = (number: number): string => identityLine(Buffer.alloc(32, number));
const pin = (id: string, number: number): Pin => ({
  id,
  pinned: {
    hostKey: `${HOST_KEY.slice(0, -6)}${Buffer.from([number, 1, 2]).toString("base64")}ZH`,
    identityKey: keyOf(number),
  },
  before: undefined,
});

/** The inventory of a region whose devices stand as they are written, with a lock that has been through these edits. */
function region(context: Parameters<typeof writeInventory>[0], entries: readonly string[], lock: string) {
  const devices = entries.map((entry, index) => `  - { ${entry}, host: h${index}, model: box }\n`).join("");
  const files = { "tokyo.yaml": `region: tokyo\ndevices:\n${devices}`, "tokyo.lock.yaml": lock };
  const inventory = loadInventory(writeInventory(context, files));
  const found = inventory.regions.get("tokyo");
  assert.ok(found);
  return { lock: found.lock, profiles: resolveRegion(inventory, "tokyo") };
}

const edit = (text: string | undefined, pins: readonly Pin[], dropped: readonly string[] = []): string => {
  const known = pins.map(({ id, pinned }) => {
    const line = new RegExp(`^  ${id}:\n    hostKey: (.*)\n(?:    identityKey: (.*)\n)?`, "m").exec(text ?? "");
    const before = line === null ? undefined : { hostKey: line[1] ?? "", identityKey: line[2] };
    return { id, pinned, before } as Pin;
  });
  const { text: edited, conflicts } = editRegionLock(
    { file: "tokyo.lock.yaml", region: "tokyo" },
    text,
    known,
    dropped,
  );
  assert.deepEqual([...conflicts], []);
  return edited;
};

test("devices that are removed, stolen, gone or enrolled anew are refused; those that are present are not", (context) => {
  const first = edit(undefined, [pin("a", 1), pin("b", 2), pin("c", 3), pin("d", 4), pin("e", 5)]);
  const second = edit(first, [pin("e", 6)], ["d"]);
  const { lock, profiles } = region(
    context,
    ["id: a", "id: b, state: removed", "id: c, state: stolen", "id: e"],
    second,
  );
  assert.deepEqual(revokedIdentities(lock, profiles), [
    { id: "b", identityKey: keyOf(2) },
    { id: "c", identityKey: keyOf(3) },
    { id: "d", identityKey: keyOf(4) },
    { id: "e", identityKey: keyOf(5) },
  ]);
});

test("deleting the entry of a stolen device lets nobody in again, before and after the lock drops it", (context) => {
  const lock = edit(undefined, [pin("a", 1), pin("b", 2)]);
  const refused = [{ id: "b", identityKey: keyOf(2) }];
  for (const [entries, text] of [
    [["id: a", "id: b, state: stolen"], lock],
    [["id: a"], lock],
    [["id: a"], edit(lock, [], ["b"])],
    [["id: a"], edit(edit(lock, [], ["b"]), [pin("a", 1)])],
  ] as const) {
    const found = region(context, entries, text);
    assert.deepEqual(revokedIdentities(found.lock, found.profiles), refused);
  }
});

test("a stolen device is never dialled, whatever its decommission is", (context) => {
  const { profiles } = region(context, ["id: a, state: stolen, decommission: wipe"], edit(undefined, [pin("a", 1)]));
  const [profile] = profiles;
  assert.deepEqual([profile?.state, profile?.stolen, profile?.decommission], ["removed", true, "retain"]);
});

test("a device that comes back with the key that it had is let in, and its lock revokes nothing", (context) => {
  const lock = edit(edit(edit(undefined, [pin("a", 1)]), [pin("a", 2)]), [pin("a", 1)]);
  const { lock: found, profiles } = region(context, ["id: a"], lock);
  assert.deepEqual(revokedIdentities(found, profiles), [{ id: "a", identityKey: keyOf(2) }]);
  assert.doesNotMatch(edit(edit(undefined, [pin("a", 1)]), [pin("a", 1)]), /revoked/);
});

test("whatever is enrolled and dropped, every key that was ever pinned is either some device's or revoked", () => {
  const step = fc.record({
    id: fc.constantFrom("a", "b", "c"),
    key: fc.integer({ min: 1, max: 9 }),
    drop: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const seen = new Set<string>();
      let text: string | undefined;
      for (const { id, key, drop } of steps) {
        text = drop ? edit(text, [], [id]) : edit(text, [pin(id, key)]);
        if (!drop) seen.add(keyOf(key));
      }
      for (const key of seen) assert.ok(text?.includes(key));
    }),
  );
});

test("the blocklist names every certificate of each identity that may be valid, and whose it was", () => {
  const identities = [
    { id: "b", identityKey: keyOf(2) },
    { id: "a", identityKey: keyOf(1) },
  ];
  const blocklist = renderBlocklist(AUTHORITY, identities, 2027);
  for (const identity of identities)
    for (const fingerprint of deviceFingerprints(AUTHORITY, identity, 2027))
      assert.equal(blocklist[fingerprint], identity.id);
  assert.equal(Object.keys(blocklist).length, 10);
  assert.deepEqual(Object.keys(blocklist), Object.keys(blocklist).sort());
});

test("a key that no certificate can be issued for needs no refusal", () => {
  const lock = { devices: { a: { hostKey: HOST_KEY, identityKey: HOST_KEY } }, revoked: {} };
  assert.deepEqual(revokedIdentities(lock, []), []);
});

test("a region has a blocklist where a device has, or had, an agent, and asks for no authority elsewhere", () => {
  const lock = { devices: { a: pin("a", 1).pinned, b: pin("b", 2).pinned }, revoked: {} };
  const profile = (id: string, engine: "argocd" | "argocd-agent", state: "present" | "removed", generation = 2026) => {
    const gitops = gitopsOf(engine);
    const agent = gitops.agent && { ...gitops.agent, generation };
    return buildProfile({
      id,
      state,
      identityKey: lock.devices[id as "a" | "b"].identityKey,
      gitops: { ...gitops, agent },
    });
  };
  const none = planBlocklist(lock, [profile("a", "argocd", "present")], () => assert.fail("asked for the authority"));
  assert.equal(none, undefined);
  const profiles = [profile("a", "argocd-agent", "present", 2027), profile("b", "argocd-agent", "removed")];
  const identity = { id: "b", identityKey: keyOf(2) };
  assert.deepEqual(
    planBlocklist(lock, profiles, () => AUTHORITY),
    renderBlocklist(AUTHORITY, [identity], 2027),
  );
});
