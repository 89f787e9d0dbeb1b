package kubelet

import (
	"context"
	"fmt"
	"math"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// longestBackoff bounds the wait before a crashed container is started again.
const longestBackoff = 10 * time.Second

// runAll steps containers on: all of them, or those of an initialization one after the other.
// It says whether all have run to their end.
func (r *Runner) runAll(ctx context.Context, pod *corev1.Pod, containers []corev1.Container, statuses *[]corev1.ContainerStatus, problem *waiting, first bool) bool {
	complete := true
	for i := range containers {
		container := &containers[i]
		status := statusOf(statuses, container)
		status.Image = container.Image
		if first && !complete {
			status.State = (&waiting{reason: "PodInitializing"}).state()
			continue
		}
		r.run(ctx, pod, container, status, problem, first)
		ended := status.State.Terminated
		complete = complete && ended != nil && ended.ExitCode == 0
		if first {
			status.Ready = ended != nil && ended.ExitCode == 0
		}
	}
	return complete
}

// run steps one container on.
func (r *Runner) run(ctx context.Context, pod *corev1.Pod, container *corev1.Container, status *corev1.ContainerStatus, problem *waiting, first bool) {
	image, present := r.images.of(container.Image)
	if present && (r.images == nil || image.Root == "") {
		call(pod, status, problem, first)
		return
	}
	process := folderOf(string(pod.UID), container.Name)
	state := process.observe()
	switch {
	case state.running:
		status.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(state.since)}}
		status.ContainerID = process.id(status.RestartCount)
		r.probe(ctx, pod, container, status, state)
		return
	case state.ended && status.State.Terminated == nil && status.State.Waiting == nil:
		status.State = corev1.ContainerState{Terminated: state.termination(status.ContainerID)}
		r.probes.forget(string(pod.UID) + "/" + container.Name)
		fallthrough
	case state.ended && status.State.Terminated != nil:
		status.Ready, status.Started = false, new(bool)
		if !restarts(pod, status.State.Terminated.ExitCode, first) {
			return
		}
		if status.State.Terminated.ExitCode == 0 && first {
			return
		}
		status.LastTerminationState = status.State
		status.State = (&waiting{reason: "CrashLoopBackOff", message: fmt.Sprintf("back-off restarting failed container %s", container.Name)}).state()
	}
	if problem != nil {
		status.State = problem.state()
		return
	}
	if !present {
		status.State = (&waiting{reason: "ImagePullBackOff", message: fmt.Sprintf("Back-off pulling image %q: not found", container.Image)}).state()
		return
	}
	r.start(ctx, pod, container, status, process, image)
}

// call calls a container running that has no program here, or ended where it is one of an initialization.
func call(pod *corev1.Pod, status *corev1.ContainerStatus, problem *waiting, first bool) {
	if problem != nil {
		status.State, status.Ready = problem.state(), false
		return
	}
	if first {
		status.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			Reason: "Completed", StartedAt: *pod.Status.StartTime, FinishedAt: *pod.Status.StartTime,
		}}
		return
	}
	yes := true
	status.Ready, status.Started = true, &yes
	if status.State.Running == nil {
		status.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: *pod.Status.StartTime}}
	}
}

func restarts(pod *corev1.Pod, code int32, first bool) bool {
	switch pod.Spec.RestartPolicy {
	case corev1.RestartPolicyNever:
		return false
	case corev1.RestartPolicyOnFailure:
		return code != 0
	}
	return !first || code != 0
}

// start starts a container that has not run in this boot, or again once its back-off is over.
func (r *Runner) start(ctx context.Context, pod *corev1.Pod, container *corev1.Container, status *corev1.ContainerStatus, process folder, image image) {
	if last := status.LastTerminationState.Terminated; last != nil && status.State.Waiting != nil {
		wait := time.Duration(math.Min(math.Pow(2, float64(status.RestartCount)), longestBackoff.Seconds())) * time.Second
		if time.Since(last.FinishedAt.Time) < wait {
			return
		}
	}
	// One that ran before this boot, or that has just ended.
	again := status.ContainerID != ""
	restart := status.RestartCount
	if again {
		restart++
	}
	script, err := r.script(ctx, pod, container, image)
	if err == nil {
		err = process.start(r.Runtime, script, logFile(pod, container.Name, restart), pod.Spec.HostNetwork)
	}
	if err != nil {
		reason := "CreateContainerConfigError"
		if os.IsPermission(err) {
			reason = "RunContainerError"
		}
		status.State = (&waiting{reason: reason, message: err.Error()}).state()
		return
	}
	if again && status.State.Running != nil {
		status.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{
			ExitCode: 255, Reason: "Unknown", FinishedAt: metav1.Now(), ContainerID: status.ContainerID,
		}
	}
	status.RestartCount = restart
	status.ContainerID = process.id(restart)
	status.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(time.Now().Truncate(time.Second))}}
}

// stopPod asks the containers of a pod to end, and makes those end whose time is over.
func (r *Runner) stopPod(pod *corev1.Pod, left time.Duration) error {
	for _, process := range containersOf(string(pod.UID)) {
		if !process.observe().running {
			continue
		}
		if left <= 0 {
			process.kill()
		} else if err := process.terminate(); err != nil {
			return err
		}
	}
	return nil
}

func (r *Runner) anyAlive(pod *corev1.Pod) bool {
	for _, process := range containersOf(string(pod.UID)) {
		if process.observe().running {
			return true
		}
	}
	return false
}

func (r *Runner) everRan(pod *corev1.Pod) bool { return len(containersOf(string(pod.UID))) > 0 }
