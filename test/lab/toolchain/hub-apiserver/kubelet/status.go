package kubelet

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// waiting is why a container does not run.
type waiting struct{ reason, message string }

func (w *waiting) state() corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: w.reason, Message: w.message}}
}

// summarize sets phase and conditions of a pod from its containers.
func summarize(pod *corev1.Pod, initialized bool, now metav1.Time) {
	running, ready, ended, failed := 0, 0, 0, 0
	for _, status := range pod.Status.ContainerStatuses {
		switch {
		case status.State.Running != nil:
			running++
		case status.State.Terminated != nil:
			ended++
			if status.State.Terminated.ExitCode != 0 {
				failed++
			}
		}
		if status.Ready {
			ready++
		}
	}
	all := len(pod.Spec.Containers)
	switch {
	case ended == all && failed > 0:
		pod.Status.Phase = corev1.PodFailed
	case ended == all:
		pod.Status.Phase = corev1.PodSucceeded
	case initFailed(pod):
		pod.Status.Phase = corev1.PodFailed
	case running > 0 || pod.Status.Phase == corev1.PodRunning:
		pod.Status.Phase = corev1.PodRunning
	default:
		pod.Status.Phase = corev1.PodPending
	}
	setCondition(pod, corev1.PodInitialized, initialized, now)
	setCondition(pod, corev1.ContainersReady, ready == all, now)
	setCondition(pod, corev1.PodReady, ready == all, now)
}

func initFailed(pod *corev1.Pod) bool {
	return pod.Spec.RestartPolicy == corev1.RestartPolicyNever && slices.ContainsFunc(pod.Status.InitContainerStatuses,
		func(status corev1.ContainerStatus) bool {
			return status.State.Terminated != nil && status.State.Terminated.ExitCode != 0
		})
}

func setCondition(pod *corev1.Pod, kind corev1.PodConditionType, yes bool, now metav1.Time) {
	value := corev1.ConditionFalse
	if yes {
		value = corev1.ConditionTrue
	}
	for i := range pod.Status.Conditions {
		condition := &pod.Status.Conditions[i]
		if condition.Type != kind {
			continue
		}
		if condition.Status != value {
			condition.Status, condition.LastTransitionTime = value, now
		}
		return
	}
	pod.Status.Conditions = append(pod.Status.Conditions,
		corev1.PodCondition{Type: kind, Status: value, LastTransitionTime: now})
}

// statusOf finds or makes the status of a container.
func statusOf(statuses *[]corev1.ContainerStatus, container *corev1.Container) *corev1.ContainerStatus {
	for i := range *statuses {
		if (*statuses)[i].Name == container.Name {
			return &(*statuses)[i]
		}
	}
	*statuses = append(*statuses, corev1.ContainerStatus{Name: container.Name, Image: container.Image})
	return &(*statuses)[len(*statuses)-1]
}
