/** What the preflight finds about the copies of the datastore, for people. The checks are program/preflight-backup.sh. */
import { type CheckEntry, ERROR, WARNING } from "./preflight-entry.ts";

/** In the order in which the checks run. */
export const BACKUP_CHECKS: readonly CheckEntry[] = [
  [
    "backup-tools",
    ERROR,
    "Copies are to be sent away (`backup.push`), and the device has no openssl or no curl, or with `s3Region` a curl before 7.87",
    "Copies are made and never sent",
    "Install the packages, or leave `backup.push` out for this model",
  ],
  [
    "backup-age",
    WARNING,
    "No copy of the datastore was made in twice `backup.everyHours` and two hours",
    "What happened since the last copy is lost with the disk",
    "Read /var/log/edge-fleet/apply.log on the device: the hourly maintenance says there why it makes none, e.g. a node that is not ready",
  ],
  [
    "backup-unsent",
    WARNING,
    "A copy could not be sent, or waits for more than two hours; the finding says why and how many wait",
    "The copies are lost with the device. Those that wait are kept within `backup.keep`, and the newest is tried every hour",
    "Fix what the finding says: the log-in, the URL, the server's certificate or the link",
  ],
  [
    "backup-recipient",
    WARNING,
    "The certificate of `backup.push.recipient` has ended or ends within 30 days",
    "Nothing stops: copies are still encrypted for its key, which is the one to be kept. Somebody has planned for a new one",
    "Make a new certificate (docs/operations.md), and keep the old key as long as its copies",
  ],
];
