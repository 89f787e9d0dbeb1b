package kubelet

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// policies stands in for kube-router's controller of network policies, which is a part of K3s.
type policies struct {
	pods       []*corev1.Pod
	namespaces map[string]labels.Set
	items      []networkingv1.NetworkPolicy
}

// policyRules let into a pod and out of it what its policies admit, once it has any. What comes from the node is let in.
func (r *Runner) policyRules(ctx context.Context, pods []*corev1.Pod) (string, error) {
	cached := metav1.ListOptions{ResourceVersion: "0"}
	found, err := r.Admin.NetworkingV1().NetworkPolicies("").List(ctx, cached)
	if err != nil {
		return "", err
	}
	namespaces, err := r.Admin.CoreV1().Namespaces().List(ctx, cached)
	if err != nil {
		return "", err
	}
	p := policies{pods: pods, namespaces: map[string]labels.Set{}, items: found.Items}
	for _, namespace := range namespaces.Items {
		p.namespaces[namespace.Name] = namespace.Labels
	}
	ingress, egress := "", ""
	for _, pod := range pods {
		if pod.Status.PodIP == "" || pod.Spec.HostNetwork {
			continue
		}
		ingress += p.rules(pod, networkingv1.PolicyTypeIngress, "ip daddr", "ip saddr")
		egress += p.rules(pod, networkingv1.PolicyTypeEgress, "ip saddr", "ip daddr")
	}
	return fmt.Sprintf(`table ip standin-policies
delete table ip standin-policies
table ip standin-policies {
  chain ingress {
    ct state established,related return
%s  }
  chain egress {
    ct state established,related return
%s  }
  chain into { type filter hook forward priority 10; jump ingress; }
  chain outof { type filter hook forward priority 20; jump egress; }
  chain tonode { type filter hook input priority 20; jump egress; }
}
`, ingress, egress), nil
}

// rules of one pod in one direction; none where no policy selects it.
func (p policies) rules(pod *corev1.Pod, kind networkingv1.PolicyType, self, other string) string {
	selected := false
	var admitted []string
	for i := range p.items {
		policy := &p.items[i]
		if policy.Namespace != pod.Namespace || !slices.Contains(typesOf(policy), kind) || !matches(&policy.Spec.PodSelector, pod.Labels) {
			continue
		}
		selected = true
		if kind == networkingv1.PolicyTypeIngress {
			for _, rule := range policy.Spec.Ingress {
				admitted = append(admitted, p.admits(policy.Namespace, rule.From, rule.Ports, other, pod)...)
			}
		} else {
			for _, rule := range policy.Spec.Egress {
				admitted = append(admitted, p.admits(policy.Namespace, rule.To, rule.Ports, other, nil)...)
			}
		}
	}
	if !selected {
		return ""
	}
	slices.Sort(admitted)
	text := ""
	for _, match := range slices.Compact(admitted) {
		text += fmt.Sprintf("    %s %s %s return\n", self, pod.Status.PodIP, match)
	}
	return text + fmt.Sprintf("    %s %s reject\n", self, pod.Status.PodIP)
}

// typesOf is what a policy is about where it does not say: what comes in, and what goes out where it has rules for that.
func typesOf(policy *networkingv1.NetworkPolicy) []networkingv1.PolicyType {
	if len(policy.Spec.PolicyTypes) > 0 {
		return policy.Spec.PolicyTypes
	}
	if len(policy.Spec.Egress) > 0 {
		return []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}
	}
	return []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
}

// admits are the matches of one rule: each peer with each port. `into` is the pod whose named ports are meant.
func (p policies) admits(namespace string, peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort, other string, into *corev1.Pod) []string {
	var result []string
	for _, peer := range p.peers(namespace, peers, other) {
		named := into
		if named == nil {
			named = peer.pod
		}
		if len(ports) == 0 {
			result = append(result, peer.match)
		}
		for _, port := range ports {
			if match, ok := portMatch(port, named); ok {
				result = append(result, strings.TrimSpace(peer.match+" "+match))
			}
		}
	}
	return result
}

type peer struct {
	match string
	pod   *corev1.Pod
}

func (p policies) peers(namespace string, list []networkingv1.NetworkPolicyPeer, other string) []peer {
	if len(list) == 0 {
		return []peer{{}}
	}
	var result []peer
	for _, one := range list {
		if block := one.IPBlock; block != nil {
			match := other + " " + block.CIDR
			if len(block.Except) > 0 {
				match += " " + other + " != { " + strings.Join(block.Except, ", ") + " }"
			}
			result = append(result, peer{match: match})
			continue
		}
		for _, pod := range p.pods {
			inside := pod.Namespace == namespace
			if one.NamespaceSelector != nil {
				inside = matches(one.NamespaceSelector, p.namespaces[pod.Namespace])
			}
			if inside && pod.Status.PodIP != "" && (one.PodSelector == nil || matches(one.PodSelector, pod.Labels)) {
				result = append(result, peer{match: other + " " + pod.Status.PodIP, pod: pod})
			}
		}
	}
	return result
}

func portMatch(port networkingv1.NetworkPolicyPort, pod *corev1.Pod) (string, bool) {
	protocol := "tcp"
	if port.Protocol != nil {
		protocol = strings.ToLower(string(*port.Protocol))
	}
	switch {
	case port.Port == nil:
		return "meta l4proto " + protocol, true
	case port.Port.Type == intstr.Int && port.EndPort != nil:
		return fmt.Sprintf("%s dport %d-%d", protocol, port.Port.IntValue(), *port.EndPort), true
	case port.Port.Type == intstr.Int:
		return fmt.Sprintf("%s dport %d", protocol, port.Port.IntValue()), true
	case pod == nil:
		return "", false
	}
	for _, container := range pod.Spec.Containers {
		for _, named := range container.Ports {
			if named.Name == port.Port.StrVal {
				return fmt.Sprintf("%s dport %d", protocol, named.ContainerPort), true
			}
		}
	}
	return "", false
}

func matches(selector *metav1.LabelSelector, set labels.Set) bool {
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && parsed.Matches(set)
}
