/**
 * What K3s keeps of a cluster beside its settings: the bootstrap data of its datastore, which must agree with the files on the
 * disk. Each failure was seen with a real K3s; the stand-in says where upstream's code has it.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BROKEN, LOCK, NEW, OLD, profileWith, underEachShell } from "../lab/standins/apply-device.ts";

const SERVER = "/var/lib/rancher/k3s/server";
const LAN = { network: { ...profileWith(OLD).network, shape: "lan" } } as const;
const old = profileWith(OLD, LAN);
const TOKEN = "0123456789abcdef0123456789abcdef";
const joined = { joined: true, secrets: { "token-edge-0001": TOKEN } };

underEachShell("a server that others join", (get) => {
  const restarted = () => get().device.sh("systemctl restart k3s; sleep 1.2; k3s kubectl get --raw=/readyz");
  const agentPassword = () => get().device.sh(`sed -n 's/,node,node,.*//p' ${SERVER}/cred/passwd`);

  test("comes up at every start after the first device joins, changes its token and leaves again", () => {
    const { device } = get();
    device.install(old);
    const own = agentPassword();
    // K3s takes a file for newer than its datastore from a difference of three seconds on.
    device.sh("sleep 3");
    assert.equal(device.apply(old, LOCK, joined).result, "applied");
    assert.equal(agentPassword(), TOKEN);
    for (let restarts = 0; restarts < 3; restarts++) assert.equal(restarted(), "ok");
    const changed = { ...joined, secrets: { "token-edge-0001": `${TOKEN}0` } };
    assert.equal(device.apply(old, LOCK, changed).result, "applied");
    assert.equal(restarted(), "ok");
    device.push(NEW);
    assert.equal(device.apply(profileWith(NEW, LAN), LOCK, changed).result, "applied");
    assert.equal(device.apply(profileWith(NEW, LAN)).result, "applied");
    assert.equal(restarted(), "ok");
    assert.equal(agentPassword(), own, "the nodes' password is the server's again");
    device.assertIs(profileWith(NEW, LAN));
  });

  test("is rolled back to what it was before the first device joined", () => {
    const { device } = get();
    device.install(old);
    device.push(BROKEN);
    device.sh("sleep 3");
    const { result, reason } = device.apply(
      profileWith(BROKEN, { ...LAN, readiness: { timeoutSeconds: 2 } }),
      LOCK,
      joined,
    );
    assert.equal(result, "rolled-back", reason);
    assert.match(reason, /back on the previous state$/);
    device.assertIs(old);
    assert.equal(restarted(), "ok");
  });

  test("keeps its password where the first start was cut off before it was told", () => {
    const { device } = get();
    device.install(old);
    const own = agentPassword();
    device.sh(`systemctl stop k3s; rm ${SERVER}/token`);
    assert.equal(device.sh("systemctl start k3s; sleep 1.2; k3s kubectl get --raw=/readyz"), "ok");
    assert.equal(agentPassword(), own);
  });
});
