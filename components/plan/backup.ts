/**
 * From `backup.push` of a profile to what a device needs to send its copies away: the certificate for which they are
 * encrypted, how curl logs in, and where they go. The device's side is program/backup.sh. Pure.
 */
import { type KeyObject, X509Certificate } from "node:crypto";
import type { BackupPush, Profile } from "../inventory/types.ts";
import type { DeviceFile } from "./distributions/distribution-plan.ts";
import { error, type Finding, requireNoErrors } from "./distributions/finding.ts";

/** Folder of the files on a device. */
const BACKUP_FOLDER = "/etc/edge-fleet/backup";

/** Bits below which an RSA key protects nothing for the years that a copy is kept. NIST SP 800-131A, section 6 */
const MINIMUM_RSA_BITS = 2048;

/** What a device may be told, see `setting` in program/settings.sh; `?` and `#` would end the path. */
const URL_CHARACTERS = /^[A-Za-z0-9_./:@%+,=-]*$/;

/** What clients and servers resolve, each in its own way. */
const DOT_FOLDER = /\/(\.|%2e){1,2}(\/|$)/i;

/** RFC 7617, section 2: neither user nor password has control characters; a line of curl's file has none either. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: refusing them is the purpose
const CONTROL_CHARACTERS = /[\u0000-\u001f\u007f]/;

/** RFC 6750, section 2.1 */
const BEARER_TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;

/** What sends copies away: undefined for a device that makes none (`keep: 0`, or an agent, which has no datastore). */
export function pushOf({ backup, joins }: Pick<Profile, "backup" | "joins">): BackupPush | undefined {
  return backup.keep === 0 || joins !== undefined ? undefined : backup.push;
}

/** Keys of the secrets that sending needs: at most one. */
export function backupSecretKeys(profile: Profile): string[] {
  const key = pushOf(profile)?.passwordSecret;
  return key === undefined ? [] : [key];
}

/** The setting `BACKUP_URL`: folder of the device's copies, empty where none are sent. */
export function backupUrl(profile: Profile): string {
  const push = pushOf(profile);
  return push === undefined ? "" : `${push.url.replace(/\/+$/, "")}/${profile.region}/${profile.id}`;
}

/** What stands against `backup.push` of a profile. Whether the certificate has ended is not judged: there is no clock. */
export function checkBackup(profile: Profile): Finding[] {
  const push = pushOf(profile);
  if (push === undefined) return [];
  return [...checkUrl(push), ...checkRecipient(push), ...checkCredentials(push)];
}

/**
 * Files that a device needs to send its copies; none where it sends none.
 * @param secrets of the stack's configuration by key
 * @throws Error naming the device, the setting or the key, and the fix; never with a secret
 */
export function backupFiles(profile: Profile, secrets: Readonly<Record<string, string>> = {}): DeviceFile[] {
  const push = pushOf(profile);
  if (push === undefined) return [];
  requireNoErrors(profile.id, checkBackup(profile));
  const secret =
    push.passwordSecret === undefined ? undefined : secretOf(profile.id, push, push.passwordSecret, secrets);
  return [
    { path: `${BACKUP_FOLDER}/recipient.pem`, mode: "0644", content: `${push.recipient.trimEnd()}\n`, live: true },
    {
      path: `${BACKUP_FOLDER}/curl.conf`,
      mode: "0600",
      content: curlConfiguration(push, secret),
      live: true,
      ...(secret === undefined ? {} : { secret: true }),
    },
  ];
}

/**
 * How curl logs in, as a file for its `--config`: a password in its arguments could be read by every process.
 * https://curl.se/docs/manpage.html#-K
 * @param secret password, token or secret key; undefined: no log-in
 */
export function curlConfiguration({ username, s3Region }: BackupPush, secret: string | undefined): string {
  if (secret === undefined) return "# no log-in\n";
  if (username === undefined) return `header = ${quoteCurl(`Authorization: Bearer ${secret}`)}\n`;
  const user = `user = ${quoteCurl(`${username}:${secret}`)}\n`;
  return s3Region === undefined ? user : `${user}aws-sigv4 = ${quoteCurl(`aws:amz:${s3Region}:s3`)}\n`;
}

/** A value of curl's configuration: within quotes only these two are special, and what a backslash names. */
function quoteCurl(value: string): string {
  return `"${value.replace(/[\\"]/g, "\\$&")}"`;
}

function against(field: keyof BackupPush, message: string): Finding[] {
  return [error(["backup", "push", field], message)];
}

function checkUrl({ url }: BackupPush): Finding[] {
  const { username, password, search, hash } = new URL(url);
  if (username !== "" || password !== "")
    return against("url", "holds a user or a password - use username and passwordSecret beside it");
  if (search !== "" || hash !== "" || /[?#]$/.test(url))
    return against("url", "has a query or a fragment, behind which no folder can follow - leave it out");
  if (!URL_CHARACTERS.test(url))
    return against("url", "has a character other than letters, digits and ._/:@%+,=- - write it as %XX");
  return DOT_FOLDER.test(url) ? against("url", "has . or .. as a folder - write the folder out") : [];
}

function checkRecipient({ recipient }: BackupPush): Finding[] {
  if (recipient.split("-----BEGIN ").length !== 2)
    return against(
      "recipient",
      "is more than one certificate - keep the one whose key is to read the copies, and no key",
    );
  const key = publicKeyOf(recipient);
  if (key === undefined)
    return against(
      "recipient",
      "is no X.509 certificate - make one as docs/operations.md shows, with openssl req -x509",
    );
  const { asymmetricKeyType: type = "unknown", asymmetricKeyDetails } = key;
  if (type !== "rsa" && type !== "ec")
    return against("recipient", `has a key of type ${type}, for which CMS cannot encrypt - use an RSA or EC key`);
  const bits = asymmetricKeyDetails?.modulusLength ?? MINIMUM_RSA_BITS;
  return bits >= MINIMUM_RSA_BITS
    ? []
    : against("recipient", `has an RSA key of ${bits} bits - use ${MINIMUM_RSA_BITS} or more, or an EC key`);
}

function publicKeyOf(pem: string): KeyObject | undefined {
  try {
    return new X509Certificate(pem).publicKey;
  } catch {
    return undefined;
  }
}

function checkCredentials({ username, passwordSecret, s3Region }: BackupPush): Finding[] {
  if (username !== undefined && passwordSecret === undefined)
    return against("passwordSecret", "is missing beside username - set both, or neither for uploads without a log-in");
  if (s3Region !== undefined && username === undefined)
    return against(
      "username",
      "is missing beside s3Region - set it to the access key, and passwordSecret for its secret",
    );
  if (username !== undefined && (username.includes(":") || CONTROL_CHARACTERS.test(username)))
    return against("username", "has a colon or a control character, which HTTP cannot carry - use another account");
  return [];
}

function secretOf(id: string, push: BackupPush, key: string, secrets: Readonly<Record<string, string>>): string {
  const secret = Object.hasOwn(secrets, key) ? secrets[key] : undefined;
  const refuse = (what: string) =>
    new Error(`device ${id}: backup.push.passwordSecret: ${what} - run pulumi config set --secret edge-fleet:${key}`);
  if (secret === undefined || secret === "") throw refuse(`the stack has no secret ${key}`);
  if (CONTROL_CHARACTERS.test(secret)) throw refuse(`the secret ${key} has a line break or another control character`);
  if (push.username === undefined && !BEARER_TOKEN.test(secret))
    throw refuse(`the secret ${key} is no bearer token, and without backup.push.username it is sent as one`);
  return secret;
}
