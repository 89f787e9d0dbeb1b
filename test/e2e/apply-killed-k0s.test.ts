/** The device program killed with SIGKILL at every step and file of K0s' first install and upgrade. */
import { describeKills } from "../lab/standins/describe-kills.ts";
import { K0sDevice, NEW, OLD, profileWith } from "../lab/standins/k0s-device.ts";

describeKills({
  name: "K0s",
  old: profileWith(OLD),
  next: profileWith(NEW, { kubelet: { maxPods: 40 } }),
  datastore: "/var/lib/k0s/db/state.db",
  start: (sandbox) => new K0sDevice(sandbox),
});
