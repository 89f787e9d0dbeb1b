/**
 * What of a control plane somebody has to look at: groups of alert rules, in the form that Prometheus and its operator
 * share. The metrics are argo-cd v3.2.11's (applicationset/metrics/metrics.go, reposerver/metrics/metrics.go) and
 * argocd-agent's (acb60cd1, internal/metrics/metrics.go). Pure.
 */
import { PRINCIPAL, type PrincipalSettings } from "./principal/settings.ts";
import { metricsServiceName } from "./principal/workload.ts";

/** What the alerts of a control plane depend on. */
export interface AlertInput {
  readonly region: string;
  /** Namespace of its control plane. */
  readonly namespace: string;
  /** It has a server. */
  readonly server: boolean;
  /** Its principals, and how many devices have an agent. Absent: it has none. */
  readonly principal?: Pick<PrincipalSettings, "agents" | "releases"> | undefined;
  /** Its processes are two each, but for the principals. */
  readonly highAvailability: boolean;
}

/** A group of rules: https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/ */
export interface AlertGroup {
  readonly name: string;
  readonly rules: readonly AlertRule[];
}

/** One rule. */
export interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
  readonly labels: Readonly<Record<"severity" | "region", string>>;
  readonly annotations: Readonly<Record<"summary" | "description", string>>;
}

/** Renders the alerts of one control plane. No device needs it to run: none of them is a page at night but the first. */
export function alertGroups(input: AlertInput): AlertGroup[] {
  const doubled = ["argocd-applicationset-controller", "argocd-repo-server"];
  if (input.server) doubled.push("argocd-server-metrics");
  const { agents, releases = [] } = input.principal ?? {};
  const services = [...doubled, ...releases.map(({ version }) => metricsServiceName(version))];
  const rules = [
    ...services.map((service) => down(input, service)),
    ...(input.highAvailability ? doubled.map((service) => single(input, service)) : []),
    setFailing(input),
    gitUnreadable(input),
    repositoryBusy(input),
    ...(agents === undefined ? [] : [agentsGone(input, agents)]),
  ];
  return [{ name: `edge-fleet-${input.region}`, rules }];
}

type Words = AlertRule["annotations"];

function rule(
  { region }: AlertInput,
  [alert, severity, minutes]: readonly [string, "critical" | "warning", number],
  expr: string,
  annotations: Words,
): AlertRule {
  return { alert, expr, for: `${minutes}m`, labels: { severity, region }, annotations };
}

/** Nothing of that name answers, or none is there: `absent` has the labels of its equality matchers. */
function down(input: AlertInput, service: string): AlertRule {
  return rule(
    input,
    ["EdgeFleetControlPlaneDown", "critical", 10],
    `absent(up{namespace="${input.namespace}",service="${service}"} == 1)`,
    {
      summary: `${service} of region ${input.region} does not answer`,
      description: `Devices work on. Until it is back no promotion reaches those with an agent - kubectl -n ${input.namespace} get pods`,
    },
  );
}

function single(input: AlertInput, service: string): AlertRule {
  return rule(
    input,
    ["EdgeFleetReplicaMissing", "warning", 15],
    `sum by (namespace, service) (up{namespace="${input.namespace}",service="${service}"}) == 1`,
    {
      summary: `${service} of region ${input.region} is one pod instead of two`,
      description: `The next node that goes takes it away - kubectl -n ${input.namespace} get pods -o wide`,
    },
  );
}

/** Each of two controllers tells of each set. */
function setFailing(input: AlertInput): AlertRule {
  return rule(
    input,
    ["EdgeFleetApplicationSetFailing", "warning", 15],
    `max by (namespace, name) (argocd_appset_info{namespace="${input.namespace}",resource_update_status="ErrorOccurred"}) == 1`,
    {
      summary: `An ApplicationSet of region ${input.region} fails`,
      description: `Its Applications stay as they are - kubectl -n ${input.namespace} describe applicationset {{ $labels.name }}`,
    },
  );
}

/** Each series begins with the first failure of a revision, so one failure alone is no increase: it takes a second one. */
function gitUnreadable(input: AlertInput): AlertRule {
  const failed = (metric: string) => `(sum(increase(${metric}{namespace="${input.namespace}"}[30m])) or vector(0))`;
  const expr = ["argocd_git_lsremote_fail_total", "argocd_git_fetch_fail_total"].map(failed).join(" + ");
  return rule(input, ["EdgeFleetGitUnreadable", "warning", 15], `${expr} > 0`, {
    summary: `The control plane of region ${input.region} cannot read Git`,
    description: `No promotion reaches devices with an agent - kubectl -n ${input.namespace} logs deployment/argocd-repo-server`,
  });
}

function repositoryBusy(input: AlertInput): AlertRule {
  return rule(
    input,
    ["EdgeFleetRepositoryBusy", "warning", 15],
    `sum(min_over_time(argocd_repo_pending_request_total{namespace="${input.namespace}"}[10m])) > 0`,
    {
      summary: `Requests for the Git repository of region ${input.region} never end to wait`,
      description:
        "The repo-server is too slow for the region's ApplicationSets - look at Git, then at the pod's memory",
    },
  );
}

/** Devices are off and on by nature; half of a region at once is the link, the principal or its certificate. */
function agentsGone(input: AlertInput, agents: number): AlertRule {
  return rule(
    input,
    ["EdgeFleetAgentsGone", "warning", 15],
    `sum(argocd_principal_connected_agents{namespace="${input.namespace}"}) < ${agents / 2}`,
    {
      summary: `Less than half of the ${agents} agents of region ${input.region} are connected`,
      description: `Look at the way to the principal, and at its certificate - kubectl -n ${input.namespace} logs -l app.kubernetes.io/name=${PRINCIPAL}`,
    },
  );
}
