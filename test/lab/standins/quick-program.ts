/** The device program for tests: that of this release, which asks more often and can kill itself at any step. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { type DeviceProgram, deviceProgram } from "../../../components/device/program.ts";

/** Counts files as they are put, and as they are brought back. */
const KILL_IN_PUT = 'c=$((c + 1)); case $STEP in rollback) kill_at "restore$c" ;; *) kill_at "put$c" ;; esac';

/** The program of this release, made quick and able to kill itself where /etc/edge-fleet-lab/kill says so. */
export const PROGRAM: DeviceProgram = instrument(deviceProgram().text);

function instrument(text: string): DeviceProgram {
  const kill = 'kill_at() { [ "$1" != "$(cat /etc/edge-fleet-lab/kill 2>/dev/null)" ] || kill -9 $$; }';
  const edits: readonly (readonly [string, string])[] = [
    ["\nPOLL=2\n", `\nPOLL=0.2 c=0\n${kill}\n`],
    ["\nENGINE_SECONDS=60\n", "\nENGINE_SECONDS=25\n"],
    ['it follows"\n    sleep 1\n', 'it follows"\n    sleep 0.2\n'],
    ['  journal "$1" begin\n', '  journal "$1" begin\n  kill_at "$1"\n'],
    ['  mv -f "$t" "$2"\n', `  ${KILL_IN_PUT}\n  mv -f "$t" "$2"\n`],
    ['  mv -f "$t" "$JOURNAL"\n', '  mv -f "$t" "$JOURNAL"\n  kill_at begin\n'],
    ['  mv "$n/list" "$n/paths"\n', '  kill_at copied\n  mv "$n/list" "$n/paths"\n'],
    ['    mv "$PREVIOUS.new" "$PREVIOUS"\n', '    kill_at settle\n    mv "$PREVIOUS.new" "$PREVIOUS"\n'],
    ["  enter rollback\n", "  c=0\n  enter rollback\n"],
    ['  mv "$K3S_DATA/server/.db.new"', '  kill_at datastore\n  mv "$K3S_DATA/server/.db.new"'],
    ['  "$1_reset"\n  for', '  kill_at erase\n  "$1_reset"\n  for'],
    ["forget_device() {\n", "forget_device() {\n  kill_at forget\n"],
    ['    finished || journal end "$RESULT"\n', '    kill_at end\n    finished || journal end "$RESULT"\n'],
  ];
  const instrumented = edits.reduce((script, [from, to]) => {
    assert.equal(script.split(from).length, 2, `the program has ${from} once`);
    return script.replace(from, () => to);
  }, text);
  return { text: instrumented, sha256: createHash("sha256").update(instrumented).digest("hex") };
}
