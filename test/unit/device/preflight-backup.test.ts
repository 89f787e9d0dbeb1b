/** What the preflight says about copies of the datastore, on folders that stand for machines. */
import assert from "node:assert/strict";
import { utimesSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { preflightSetting } from "../../../components/plan/preflight.ts";
import { makeRecipient } from "../../lab/standins/upload-server.ts";
import { type FakeMachine, Machine, readFindings, SHELLS, type Shell } from "./preflight-fakes.ts";
import { buildProfile } from "./profile.ts";

const STATE = "/var/lib/edge-fleet";
const URL = "https://b.example.com/tokyo/edge-0001";
const SETTINGS = { [`${STATE}/settings`]: `edge-fleet 1\nset BACKUP_URL ${URL}\nend\n` };
const RECIPIENT = { "/etc/edge-fleet/backup/recipient.pem": makeRecipient().certificate };
const APPLIED = { [`${STATE}/applied`]: "x\n" };
const [OLDER, NEWER] = ["20260101T000000Z", "20260102T000000Z"];

interface Case {
  readonly name: string;
  readonly words: string;
  readonly files?: FakeMachine["files"];
  /** Hours since the path was written. */
  readonly ages?: Readonly<Record<string, number>>;
  readonly machine?: FakeMachine;
  readonly found?: Readonly<Record<string, RegExp>>;
}

const sentTo = (name: string, url = URL) => ({
  [`${STATE}/backups/${name}/about`]: "",
  [`${STATE}/backups/${name}.sent`]: `${url}\n`,
});
const copy = (name: string) => ({ [`${STATE}/backups/${name}/about`]: "" });

const CASES: readonly Case[] = [
  { name: "a device that is not applied yet", words: "copies=24 push=https" },
  { name: "a device that makes no copies", words: "", files: APPLIED, ages: { [`${STATE}/applied`]: 900 } },
  { name: "a device that was just applied", words: "copies=24", files: APPLIED },
  {
    name: "no copy two days after the apply",
    words: "copies=24",
    files: APPLIED,
    ages: { [`${STATE}/applied`]: 51 },
    found: { "backup-age warning": /^no copy of the datastore in 50 h, one is due every 24 h - read/ },
  },
  {
    name: "an old copy, though the device was applied anew",
    words: "copies=1",
    files: { ...APPLIED, ...copy(OLDER) },
    ages: { [`${STATE}/backups/${OLDER}`]: 5 },
    found: { "backup-age warning": /in 4 h, one is due every 1 h/ },
  },
  {
    name: "an old copy and a new one",
    words: "copies=1",
    files: { ...APPLIED, ...copy(OLDER), ...copy(NEWER) },
    ages: { [`${STATE}/applied`]: 99, [`${STATE}/backups/${OLDER}`]: 5 },
  },
  {
    name: "what a restore has replaced is no copy of its own",
    words: "copies=1",
    files: { ...APPLIED, ...copy(`${NEWER}-before`), ...copy(OLDER) },
    ages: { [`${STATE}/backups/${OLDER}`]: 5 },
    found: { "backup-age warning": /one is due every 1 h/ },
  },
  {
    name: "copies that are sent, and one that was just made",
    words: "copies=24 push=https",
    files: { ...APPLIED, ...SETTINGS, ...RECIPIENT, ...sentTo(OLDER), ...copy(NEWER) },
  },
  {
    name: "an upload that failed",
    words: "copies=24 push=https",
    files: {
      ...APPLIED,
      ...SETTINGS,
      ...RECIPIENT,
      ...copy(NEWER),
      [`${STATE}/backups/unsent`]: "it is full - empty it",
    },
    found: { "backup-unsent warning": /^copies that wait to be sent: 1; it is full - empty it$/ },
  },
  {
    name: "copies that nobody tried to send, and one that is at another place",
    words: "copies=24 push=https",
    files: { ...APPLIED, ...SETTINGS, ...RECIPIENT, ...sentTo(OLDER, "https://old.example.com"), ...copy(NEWER) },
    ages: { [`${STATE}/backups/${OLDER}`]: 5 },
    found: { "backup-unsent warning": /^copies that wait to be sent: 2; none was tried - read/ },
  },
  {
    name: "a recipient that ends soon",
    words: "copies=24 push=https",
    files: {
      ...APPLIED,
      ...SETTINGS,
      "/etc/edge-fleet/backup/recipient.pem": makeRecipient("-days", "20").certificate,
    },
    found: { "backup-recipient warning": /ends within 30 days/ },
  },
  {
    name: "no openssl",
    words: "copies=24 push=https",
    machine: { without: ["openssl"], also: [] },
    found: { "backup-tools error": /^missing: openssl, with which copies are encrypted and sent - install/ },
  },
  ...(
    [
      ["7.86.0", /^curl 7\.86 cannot sign uploads for S3 - install curl 7\.87 or later$/],
      ["7.87.0", undefined],
      ["8.5.0", undefined],
      ["10.0.1", undefined],
    ] as const
  ).map(([version, pattern]) => ({
    name: `curl ${version} for S3`,
    words: "copies=24 push=s3",
    machine: { commands: `curl() { echo "curl ${version} (x) libcurl/${version}"; }` },
    ...(pattern === undefined ? {} : { found: { "backup-tools error": pattern } }),
  })),
];

for (const shell of Object.keys(SHELLS) as Shell[]) {
  for (const { name, words, files = {}, ages = {}, machine: more = {}, found = {} } of CASES) {
    test(`${name}, under ${shell}`, () => {
      const machine = new Machine({ also: ["openssl", "find"], ...more, preflight: words, files });
      const then = (hours: number) => Date.now() / 1000 - hours * 3600;
      for (const [path, hours] of Object.entries(ages)) utimesSync(join(machine.root, path), then(hours), then(hours));
      const { stdout, stderr } = machine.run(shell, "findings");
      machine.remove();
      assert.equal(stderr, "");
      const printed = readFindings(stdout).filter(({ id }) => id.startsWith("backup-"));
      assert.deepEqual(
        printed.map(({ id, severity }) => `${id} ${severity}`),
        Object.keys(found),
      );
      for (const { id, severity, text } of printed) assert.match(text, found[`${id} ${severity}`] ?? /^$/);
    });
  }
}

test("what the checks need to know of a device", () => {
  const push = { url: "https://b.example.com", recipient: "x", passwordSecret: "b" };
  const words = (changes: Parameters<typeof buildProfile>[0]) =>
    preflightSetting(buildProfile(changes))
      .split(" ")
      .filter((word) => /^(copies|push)=/.test(word));
  assert.deepEqual(words({}), ["copies=24"]);
  assert.deepEqual(words({ backup: { everyHours: 6, keep: 3, push } }), ["copies=6", "push=https"]);
  assert.deepEqual(words({ backup: { everyHours: 6, keep: 3, push: { ...push, s3Region: "eu-1" } } }), [
    "copies=6",
    "push=s3",
  ]);
  assert.deepEqual(words({ backup: { everyHours: 6, keep: 0, push } }), []);
  assert.deepEqual(words({ joins: "edge-0002", backup: { everyHours: 6, keep: 3, push } }), []);
});
