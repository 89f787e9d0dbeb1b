package main

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1helpers "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"
)

// bindPods gives the node every pod that may run on it, by the rules of the real scheduler on taints, selectors and
// cordons. Resources and everything else that it weighs are left out.
func (n node) bindPods(ctx context.Context) error {
	self, err := n.admin.CoreV1().Nodes().Get(ctx, n.name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	// A kubelet says what its node has when it starts; a pod that is bound before is refused.
	if self.Status.Allocatable.Pods().IsZero() {
		return nil
	}
	waiting, err := n.admin.CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName="})
	if err != nil {
		return err
	}
	for _, pod := range waiting.Items {
		if !mayRun(&pod, self) {
			continue
		}
		binding := corev1.Binding{
			ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
			Target:     corev1.ObjectReference{Kind: "Node", Name: n.name},
		}
		err := n.admin.CoreV1().Pods(pod.Namespace).Bind(ctx, &binding, metav1.CreateOptions{})
		if err != nil && !errors.IsNotFound(err) && !errors.IsConflict(err) {
			return err
		}
	}
	return nil
}

func mayRun(pod *corev1.Pod, node *corev1.Node) bool {
	matches, err := nodeaffinity.GetRequiredNodeAffinity(pod).Match(node)
	if err != nil || !matches || node.Spec.Unschedulable || pod.DeletionTimestamp != nil {
		return false
	}
	_, repelled := corev1helpers.FindMatchingUntoleratedTaint(klog.Background(), node.Spec.Taints, pod.Spec.Tolerations,
		func(taint *corev1.Taint) bool { return taint.Effect != corev1.TaintEffectPreferNoSchedule }, false)
	return !repelled
}
