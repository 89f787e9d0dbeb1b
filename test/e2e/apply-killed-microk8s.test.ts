/** The device program killed with SIGKILL at every step and file of MicroK8s' first install and upgrade. */
import { describeKills } from "../lab/standins/kills.ts";
import { MicroK8sDevice, NEW, OLD, profileWith } from "../lab/standins/microk8s-device.ts";

describeKills({
  name: "MicroK8s",
  Kind: MicroK8sDevice,
  old: profileWith(OLD),
  next: profileWith(NEW, { kubelet: { maxPods: 40 } }),
  datastore: "/var/snap/microk8s/current/var/kubernetes/backend/state.db",
});
