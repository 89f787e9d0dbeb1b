/** Where K3s keeps what on a device. https://docs.k3s.io/installation/configuration */
export const BINARY = "/usr/local/bin/k3s";
/** Settings; 0700. */
export const CONFIG = "/etc/rancher/k3s";
/** Everything that K3s writes. */
export const DATA = "/var/lib/rancher/k3s";
/** Audit log; must exist before the first start. */
export const AUDIT_LOGS = `${DATA}/server/logs`;
/** Archives of images, imported at each start: https://docs.k3s.io/installation/airgap */
export const IMAGES = `${DATA}/agent/images`;
/** Manifests that a server applies at its start and whenever they change. */
export const MANIFESTS = `${DATA}/server/manifests`;
/** Password with which agents join, on the server. */
export const AGENT_TOKEN = `${CONFIG}/agent-token`;
/** Token with which an agent joins, on the agent. */
export const TOKEN = `${CONFIG}/token`;
/** Admission plugins of the API server. */
export const ADMISSION = `${CONFIG}/psa.yaml`;
/** Audit policy of the API server. */
export const AUDIT_POLICY = `${CONFIG}/audit.yaml`;
