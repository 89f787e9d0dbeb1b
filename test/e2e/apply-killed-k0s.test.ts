/** The device program killed with SIGKILL at every step and file of K0s' first install and upgrade. */

import { K0sDevice, NEW, OLD, profileWith } from "../lab/standins/k0s-device.ts";
import { describeKills } from "../lab/standins/kills.ts";

describeKills({
  name: "K0s",
  Kind: K0sDevice,
  old: profileWith(OLD),
  next: profileWith(NEW, { kubelet: { maxPods: 40 } }),
  datastore: "/var/lib/k0s/db/state.db",
});
