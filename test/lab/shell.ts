/** Keeps a lab fleet running until the person who looks at it ends it. */
import type { LabFleet } from "./fleet.ts";

/**
 * Says how to look around from another terminal and waits for Ctrl-C.
 * @param environmentFile shell file that exports the lab's environment
 */
export async function hold(say: (text: string) => void, fleet: LabFleet, environmentFile: string): Promise<void> {
  const [device] = fleet.devices.devices;
  say(`
Still running. In another terminal, as root:
  nsenter --target $(pgrep -f -n 'lab/demo.ts.*--keep') --mount --net --pid
  . ${environmentFile}; cd ${fleet.directory}/project
  pulumi stack output --stack loopback
  kubectl get secrets,applicationsets -A                (where kubectl is installed)
  ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -p ${device?.port} root@${device?.host} k3s --version
Ctrl-C here stops everything.`);
  await new Promise<void>((resolve) => {
    process.once("SIGINT", resolve);
    process.once("SIGTERM", resolve);
  });
}
