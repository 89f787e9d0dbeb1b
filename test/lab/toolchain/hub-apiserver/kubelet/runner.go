// Package kubelet is a STAND-IN for what runs pods on a node: kubelet, containerd and runc, the CNI plugins, kube-proxy,
// CoreDNS and the local-path provisioner. A pod whose image the device has runs as real processes: with the command,
// arguments, environment, user, capabilities and read-only root that the pod names, its volumes mounted, a token of its
// service account, an address of its own, and the cluster's Services and network policies in front of it. So a wrong flag,
// name, mount, right or port fails here as on a device.
//
// Left out: control groups (requests and limits of memory and CPU do nothing), seccomp and AppArmor, image layers and
// digests (an image is its repository's entry in the device's table), logs, exec and port-forward through the API, sidecar
// containers that restart, hooks, gRPC probes, IPv6. Quicker than the real ones: probes run each second, a crashed
// container is started again after at most 10 s instead of 5 min, changed ConfigMaps reach their volumes within 5 s.
package kubelet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const (
	// runFolder holds what ends with a boot: one folder per pod, with one per container.
	runFolder = "/run/k3s/standin/pods"
	// podFolder holds the volumes, which outlive a boot, as a kubelet's.
	podFolder = "/var/lib/kubelet/pods"
	logFolder = "/var/log/pods"
	// refreshEvery is how often volumes of ConfigMaps, Secrets and tokens are looked at.
	refreshEvery = 5 * time.Second
)

// Node is what the runner is a part of.
type Node struct {
	Name    string
	Address net.IP
	// Own has the rights of a kubelet, Admin stands in for the cluster's controllers.
	Own, Admin *kubernetes.Clientset
	// Runtime is the folder of the distribution's binaries; the shims lie in it.
	Runtime string
}

// Runner keeps the node's pods.
type Runner struct {
	Node
	images   images
	network  network
	probes   probes
	issued   map[string]time.Time
	volumes  map[string]time.Time
	services []*corev1.Service
}

// New prepares a runner. Containers that an earlier one has started go on.
func New(node Node) (*Runner, error) {
	if err := installShim(node.Runtime); err != nil {
		return nil, err
	}
	return &Runner{Node: node, probes: probes{}, issued: map[string]time.Time{}, volumes: map[string]time.Time{}}, nil
}

// Sync brings the pods of the node one step nearer to what the API says.
func (r *Runner) Sync(ctx context.Context) error {
	var err error
	if r.images, err = readImages(); err != nil {
		return err
	}
	mine, err := r.Own.CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=" + r.Name})
	if err != nil {
		return err
	}
	pods := make([]*corev1.Pod, len(mine.Items))
	for i := range mine.Items {
		pods[i] = &mine.Items[i]
	}
	var failures []error
	if r.images != nil {
		failures = append(failures, r.bindClaims(ctx), r.syncNetwork(ctx, pods))
	}
	for _, pod := range pods {
		err := r.syncPod(ctx, pod)
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			failures = append(failures, fmt.Errorf("pod %s/%s: %w", pod.Namespace, pod.Name, err))
		}
	}
	failures = append(failures, r.forgetOthers(pods))
	return errors.Join(failures...)
}

func (r *Runner) syncPod(ctx context.Context, pod *corev1.Pod) error {
	if pod.DeletionTimestamp != nil {
		return r.endPod(ctx, pod)
	}
	if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return r.stopPod(pod, 0)
	}
	before := pod.Status.DeepCopy()
	r.advance(ctx, pod)
	if equality.Semantic.DeepEqual(before, &pod.Status) {
		return nil
	}
	_, err := r.Own.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{})
	return err
}

// advance does what can be done for a pod now, and writes into its status how it is.
func (r *Runner) advance(ctx context.Context, pod *corev1.Pod) {
	now := metav1.NewTime(time.Now().Truncate(time.Second))
	if pod.Status.StartTime == nil {
		pod.Status.StartTime = &now
	}
	pod.Status.HostIP = r.Address.String()
	pod.Status.HostIPs = []corev1.HostIP{{IP: pod.Status.HostIP}}
	problem := r.admit(ctx, pod)
	initialized := r.runAll(ctx, pod, pod.Spec.InitContainers, &pod.Status.InitContainerStatuses, problem, true)
	if !initialized && problem == nil {
		problem = &waiting{reason: "PodInitializing"}
	}
	r.runAll(ctx, pod, pod.Spec.Containers, &pod.Status.ContainerStatuses, problem, false)
	summarize(pod, initialized, now)
}

// admit makes what all containers of a pod need: its volumes and its address.
func (r *Runner) admit(ctx context.Context, pod *corev1.Pod) *waiting {
	if r.images == nil || !r.runs(pod) {
		return nil
	}
	if err := r.keepVolumes(ctx, pod); err != nil {
		return &waiting{reason: "ContainerCreating", message: err.Error()}
	}
	if err := r.keepSandbox(pod); err != nil {
		return &waiting{reason: "ContainerCreating", message: err.Error()}
	}
	return nil
}

// runs says whether any container of the pod is a program here.
func (r *Runner) runs(pod *corev1.Pod) bool {
	for _, container := range append(append([]corev1.Container{}, pod.Spec.InitContainers...), pod.Spec.Containers...) {
		if image, ok := r.images.of(container.Image); !ok || image.Root != "" {
			return true
		}
	}
	return false
}

// endPod ends the containers, then the pod.
func (r *Runner) endPod(ctx context.Context, pod *corev1.Pod) error {
	asked := pod.DeletionTimestamp.Add(-time.Duration(*pod.DeletionGracePeriodSeconds) * time.Second)
	left := time.Until(pod.DeletionTimestamp.Time)
	if err := r.stopPod(pod, left); err != nil {
		return err
	}
	// One that never had a process is called ending for a moment, as a real one is.
	if r.anyAlive(pod) || (!r.everRan(pod) && left > 0 && time.Since(asked) < calledEnds) {
		return nil
	}
	if err := r.forgetPod(string(pod.UID)); err != nil {
		return err
	}
	at := metav1.NewDeleteOptions(0)
	at.Preconditions = metav1.NewUIDPreconditions(string(pod.UID))
	return r.Own.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, *at)
}

// calledEnds is how long a pod that is only called running takes to end, where its own bound is not shorter.
const calledEnds = 2 * time.Second

// forgetOthers ends what is left of pods that the API no longer has.
func (r *Runner) forgetOthers(pods []*corev1.Pod) error {
	known := map[string]bool{}
	for _, pod := range pods {
		known[string(pod.UID)] = true
	}
	var failures []error
	for _, folder := range []string{runFolder, podFolder} {
		entries, err := os.ReadDir(folder)
		if err != nil && !os.IsNotExist(err) {
			return err
		}
		for _, entry := range entries {
			if !known[entry.Name()] {
				failures = append(failures, r.forgetPod(entry.Name()))
			}
		}
	}
	return errors.Join(failures...)
}

// forgetPod ends what still runs of a pod, and removes its volumes but for those on claims, which lie elsewhere.
func (r *Runner) forgetPod(uid string) error {
	for _, folder := range containersOf(uid) {
		folder.kill()
	}
	endSandbox(uid)
	delete(r.volumes, uid)
	r.probes.forget(uid)
	return errors.Join(os.RemoveAll(filepath.Join(runFolder, uid)), os.RemoveAll(filepath.Join(podFolder, uid)))
}
