/** The device program and payloads that are not what the controller sends: nothing of them is evaluated or put anywhere. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync, strToU8 } from "fflate";
import { PROGRAM_PATH } from "../../components/device/program.ts";
import { parseDeviceAnswer } from "../../components/device/result.ts";
import { renderScript } from "../../components/device/script.ts";
import { payloadText, renderPayload } from "../../components/plan/payload.ts";
import { countFaults } from "../lab/faults.ts";
import { flannel, LOCK, OLD, profileWith, readOutcome, underEachShell } from "../lab/standins/apply-device.ts";
import { PROGRAM } from "../lab/standins/quick-program.ts";

const faults = countFaults();
const old = profileWith(OLD);
const text = payloadText(renderPayload(flannel(old, "vxlan"), LOCK));
const SUM = "0".repeat(64);
const before = (line: string, added: string) => text.replace(line, `${added}\n${line}`);
const withFile = (head: string) =>
  before("end\n", `${head}\nx`).replace(/\n(artifact [^\n]*)\n([\s\S]*)end/, "\n$2$1\nend");
const withSetting = (line: string) => text.replace("edge-fleet 1\n", `edge-fleet 1\n${line}\n`);
const withArtifact = (line: string) => text.replace("\nend\n", `\n${line}\nend\n`);

/** Each would leave /tmp/owned, or a file where none belongs, if any of it were evaluated or believed. */
const HOSTILE: Readonly<Record<string, string>> = {
  nothing: "",
  "another version": text.replace("edge-fleet 1", "edge-fleet 2"),
  "no end": text.replace(/\nend\n$/, "\n"),
  "a cut file": text.slice(0, text.indexOf("kind: Policy")),
  "something after the end": `${text}touch /tmp/owned\n`,
  "a command as a line": withSetting("touch /tmp/owned"),
  "a command in a setting": withSetting("set LABELS a=$(touch /tmp/owned)"),
  "backquotes in a setting": withSetting("set REGION `touch /tmp/owned`"),
  "a semicolon in a setting": withSetting("set DEVICE a;touch /tmp/owned"),
  "an option as a label": withSetting("set LABELS --kubeconfig=/tmp/owned"),
  "an unknown setting": withSetting("set PATH /tmp"),
  "another kubectl": withSetting("set KUBECTL /tmp/owned kubectl --request-timeout=10s"),
  "an argument for kubectl": withSetting("set KUBECTL /usr/local/bin/k3s kubectl --request-timeout=10s delete"),
  "another distribution": withSetting("set DISTRIBUTION rm"),
  "a unit elsewhere": withSetting("set UNIT /etc/systemd/system/../../shadow.service"),
  "a hash that is a path": withSetting("set HASH ../../../tmp/owned"),
  "a number that is none": withSetting("set READY_SECONDS 1+1"),
  "a number without end": withSetting(`set READY_SECONDS ${"9".repeat(30)}`),
  "a setting after a file": before("end\n", "set REGION other"),
  "a file outside of the prefixes": withFile("file 0644 restart /etc/passwd 1"),
  "a file above a prefix": withFile("file 0644 restart /etc/rancher/../passwd 1"),
  "a file that is a folder": withFile("file 0644 restart /etc/rancher/ 1"),
  "a file of the program": withFile("file 0755 restart /usr/local/sbin/edge-fleet-device 1"),
  "the identity": withFile("file 0600 restart /var/lib/edge-fleet/identity.key 1"),
  "a file of the transaction": withFile("file 0600 restart /var/lib/edge-fleet/run/x/pid 1"),
  "a path with a metacharacter": withFile("file 0644 restart /etc/rancher/$(id) 1"),
  "a path with a glob": withFile("file 0644 restart /etc/rancher/* 1"),
  "a set-user-id mode": withFile("file 4755 restart /usr/local/bin/owned 1"),
  "a mode that is none": withFile("file rwx restart /etc/rancher/x 1"),
  "a negative length": withFile("file 0644 restart /etc/rancher/x -1"),
  "one path twice": withFile("file 0600 restart /etc/rancher/k3s/config.yaml 1"),
  "an artifact of no kind": withArtifact(`artifact script ${SUM} 1 0755 /usr/local/bin/x http://127.0.0.1:9/x`),
  "an artifact without a sum": withArtifact("artifact shim x 1 0755 /usr/local/bin/x http://127.0.0.1:9/x"),
  "an artifact from a file": withArtifact(`artifact shim ${SUM} 1 0755 /usr/local/bin/x file:///etc/shadow`),
  "an artifact as an option": withArtifact(`artifact shim ${SUM} 1 0755 /usr/local/bin/x --output=/tmp/owned`),
  "an artifact in a wrong place": withArtifact(`artifact shim ${SUM} 1 0755 /usr/bin/x http://127.0.0.1:9/x`),
  "an artifact without a URL": withArtifact(`artifact shim ${SUM} 1 0755 /usr/local/bin/x`),
};

underEachShell("payloads", (get) => {
  test("hostile ones are refused without any change", () =>
    faults.survive(
      "hostile payload",
      () => {
        const { device } = get();
        device.install(old);
        device.sh("touch /etc/edge-fleet-lab/before");
        const pid = device.pid();
        const changed = () =>
          device.sh(`find /etc /usr/local /var/lib/rancher /var/lib/edge-fleet /tmp /run -xdev ! -path '/run/standin*' \\
        ! -type d -newer /etc/edge-fleet-lab/before 2>/dev/null | head -n 20`);
        assert.equal(changed(), "");
        for (const [what, payload] of Object.entries(HOSTILE)) {
          assert.notEqual(payload, text, what);
          const { result, reason } = device.applyText(payload);
          assert.equal(result, "failed", what);
          assert.match(reason, /^payload: line \d+: .* - run again with edge-fleet of the same release$/, what);
          assert.deepEqual([changed(), device.pid()], ["", pid], what);
        }
        device.assertIs(old);
        assert.equal(device.apply(old).result, "unchanged");
      },
      Object.keys(HOSTILE).length,
    ));

  test("the same payload, whole, is applied plain or packed", () => {
    const { device, sandbox } = get();
    device.install(old);
    assert.equal(device.applyText(text).result, "applied");
    device.assertIs(flannel(old, "vxlan"));
    const packed = Buffer.from(gzipSync(strToU8(text))).toString("base64");
    assert.equal(readOutcome(sandbox.run(`${PROGRAM_PATH} apply`, `${packed}\n`)).result, "unchanged");
    const damaged = `${packed.slice(0, 400)}AAAA${packed.slice(404)}\n`;
    faults.survive("hostile payload", () => {
      assert.match(readOutcome(sandbox.run(`${PROGRAM_PATH} apply`, damaged)).reason, /^payload: /);
      device.assertIs(flannel(old, "vxlan"));
      assert.equal(device.applyText(text).result, "unchanged");
    });
  });

  test("the script for a person installs the program and applies the payload", () => {
    const { device, sandbox } = get();
    device.sh(`rm -f ${PROGRAM_PATH}`);
    device.wipe();
    device.push(OLD);
    const { code, stdout } = sandbox.run("sh", renderScript(old.id, renderPayload(old, LOCK), PROGRAM));
    assert.equal(code, 0);
    assert.equal(parseDeviceAnswer(stdout)?.result, "applied");
    device.assertIs(old);
  });

  test("a password is on the device in files of mode 0600 alone, and nowhere after a failure", () => {
    const { device } = get();
    const password = "pass-of-the-mirror";
    const mirror = { endpoints: ["https://mirror.example.com"], username: "edge", passwordSecret: "mirror" };
    const registries = { ...old, registries: { "docker.io": mirror } };
    const payload = (profile: typeof old) =>
      payloadText(renderPayload(profile, LOCK, { secrets: { mirror: password } }));
    const holders = () =>
      device.sh(
        `grep -rl ${password} /etc /usr/local /var/lib /var/log /tmp /run 2>/dev/null | xargs -r stat -c '%a %n' | sort`,
      );
    device.wipe();
    device.push(OLD);
    assert.equal(device.applyText(payload(registries)).result, "applied");
    assert.equal(holders(), "600 /etc/rancher/k3s/registries.yaml");
    device.wipe();
    const refused = device.applyText(
      payload({ ...registries, architecture: old.architecture === "amd64" ? "arm64" : "amd64" }),
    );
    assert.equal(refused.result, "failed");
    assert.equal(holders(), "");
  });
});
