package main

import (
	"context"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1helpers "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"
)

// podEnds is how long a pod that is deleted takes to end, where its own bound is not shorter.
const podEnds = 2 * time.Second

// bindPods gives the node every pod that may run on it, by the rules of the real scheduler on taints, selectors and
// cordons. Resources and everything else that it weighs are left out.
func (n node) bindPods(ctx context.Context) error {
	self, err := n.admin.CoreV1().Nodes().Get(ctx, n.name, metav1.GetOptions{})
	if err != nil {
		return err
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

// keepPods calls the node's pods running, and lets those that are deleted go.
func (n node) keepPods(ctx context.Context) error {
	mine, err := n.own.CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=" + n.name})
	if err != nil {
		return err
	}
	for _, pod := range mine.Items {
		if pod.DeletionTimestamp != nil {
			err = n.endPod(ctx, &pod)
		} else if pod.Status.Phase == corev1.PodPending {
			err = n.runPod(ctx, &pod)
		}
		if err != nil && !errors.IsNotFound(err) && !errors.IsConflict(err) {
			return err
		}
	}
	return nil
}

func (n node) endPod(ctx context.Context, pod *corev1.Pod) error {
	asked := pod.DeletionTimestamp.Add(-time.Duration(*pod.DeletionGracePeriodSeconds) * time.Second)
	if time.Now().Before(pod.DeletionTimestamp.Time) && time.Since(asked) < podEnds {
		return nil
	}
	at := metav1.NewDeleteOptions(0)
	at.Preconditions = metav1.NewUIDPreconditions(string(pod.UID))
	return n.own.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, *at)
}

// absent begins the name of an image that no registry has, as far as this node knows.
const absent = "lab.invalid/absent/"

func (n node) runPod(ctx context.Context, pod *corev1.Pod) error {
	now := metav1.Now()
	if image := pod.Spec.Containers[0].Image; strings.HasPrefix(image, absent) {
		return n.awaitImage(ctx, pod, image)
	}
	pod.Status.Phase = corev1.PodRunning
	pod.Status.StartTime = &now
	for _, condition := range []corev1.PodConditionType{corev1.PodInitialized, corev1.ContainersReady, corev1.PodReady} {
		pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{
			Type: condition, Status: corev1.ConditionTrue, LastTransitionTime: now,
		})
	}
	for _, container := range pod.Spec.Containers {
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: container.Name, Image: container.Image, Ready: true,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}},
		})
	}
	_, err := n.own.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{})
	return err
}

// awaitImage says what a kubelet says of an image that it cannot pull.
func (n node) awaitImage(ctx context.Context, pod *corev1.Pod, image string) error {
	if len(pod.Status.ContainerStatuses) > 0 {
		return nil
	}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: pod.Spec.Containers[0].Name, Image: image,
		State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}},
	}}
	_, err := n.own.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{})
	return err
}
