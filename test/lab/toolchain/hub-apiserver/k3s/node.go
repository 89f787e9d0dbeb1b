package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"edge-fleet.invalid/lab/hub-apiserver/kubelet"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	taintutils "k8s.io/kubernetes/pkg/util/taints"
)

// beatEvery is how often the node says that it is well; a kubelet needs 10 s for that, which tests would wait for.
const beatEvery = time.Second

// node is the stand-in for the scheduler, and without a kubelet says that the node is well.
type node struct {
	device
	// admin stands in for the scheduler; own has the rights of a kubelet, which the API server limits to its node.
	admin, own *kubernetes.Clientset
}

// startNode registers the node where it is not yet, and keeps it alive until ctx ends.
func (d device) startNode(ctx context.Context, admin *kubernetes.Clientset) error {
	config, err := clientcmd.BuildConfigFromFlags("", nodeKubeconfig)
	if err != nil {
		return err
	}
	config.QPS = -1
	own, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	n := node{device: d, admin: admin, own: own}
	if err := n.register(ctx); err != nil {
		return fmt.Errorf("node: %w", err)
	}
	steps, err := n.steps(ctx)
	if err != nil {
		return err
	}
	go func() {
		for ctx.Err() == nil {
			for _, step := range steps {
				if err := step(ctx); err != nil && ctx.Err() == nil {
					fmt.Fprintln(os.Stderr, "node:", err)
				}
			}
			select {
			case <-ctx.Done():
			case <-time.After(beatEvery):
			}
		}
	}()
	return nil
}

// steps are what is done again and again. With a real kubelet only the scheduler is left to stand in for.
func (n node) steps(ctx context.Context) ([]func(context.Context) error, error) {
	if hasAgent() {
		return []func(context.Context) error{n.bindPods}, errors.Join(n.runAgent(ctx), n.serveNames(ctx))
	}
	pods, err := kubelet.New(kubelet.Node{
		Name: n.name, Address: n.address, Own: n.own, Admin: n.admin, Runtime: dataFolder + "/data/standin/bin",
	})
	return []func(context.Context) error{n.beat, n.renewLease, n.bindPods, pods.Sync}, err
}

// register creates the node with its labels and taints. Those of the configuration act here alone: on a node that is
// there already a kubelet changes only labels of its own.
func (n node) register(ctx context.Context) error {
	labels := map[string]string{
		corev1.LabelHostname:           n.name,
		corev1.LabelOSStable:           runtime.GOOS,
		corev1.LabelArchStable:         runtime.GOARCH,
		corev1.LabelInstanceTypeStable: "k3s",
	}
	for _, label := range n.config["node-label"] {
		key, value, _ := strings.Cut(label, "=")
		labels[key] = value
	}
	taints, _, err := taintutils.ParseTaints(n.config["node-taint"])
	if err != nil {
		return err
	}
	_, err = n.own.CoreV1().Nodes().Create(ctx, &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: n.name, Labels: labels},
		Spec:       corev1.NodeSpec{Taints: taints},
	}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

func (n node) beat(ctx context.Context) error {
	current, err := n.own.CoreV1().Nodes().Get(ctx, n.name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	now := metav1.Now()
	current.Status.Conditions = []corev1.NodeCondition{{
		Type:               corev1.NodeReady,
		Status:             corev1.ConditionTrue,
		Reason:             "StandIn",
		Message:            "the stand-in has no kubelet",
		LastHeartbeatTime:  now,
		LastTransitionTime: now,
	}}
	current.Status.Addresses = []corev1.NodeAddress{
		{Type: corev1.NodeInternalIP, Address: n.address.String()},
		{Type: corev1.NodeHostName, Address: n.name},
	}
	current.Status.Capacity = corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("4"),
		corev1.ResourceMemory: resource.MustParse("4Gi"),
		corev1.ResourcePods:   resource.MustParse("110"),
	}
	current.Status.Allocatable = current.Status.Capacity
	current.Status.NodeInfo = corev1.NodeSystemInfo{
		KubeletVersion:          n.release,
		OperatingSystem:         runtime.GOOS,
		Architecture:            runtime.GOARCH,
		ContainerRuntimeVersion: "stand-in://0",
	}
	_, err = n.own.CoreV1().Nodes().UpdateStatus(ctx, current, metav1.UpdateOptions{})
	return err
}

func (n node) renewLease(ctx context.Context) error {
	leases := n.own.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	seconds, now := int32(40), metav1.NowMicro()
	lease, err := leases.Get(ctx, n.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = leases.Create(ctx, &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Name: n.name},
			Spec:       coordinationv1.LeaseSpec{HolderIdentity: &n.name, LeaseDurationSeconds: &seconds, RenewTime: &now},
		}, metav1.CreateOptions{})
		return err
	}
	if err != nil {
		return err
	}
	lease.Spec.RenewTime = &now
	_, err = leases.Update(ctx, lease, metav1.UpdateOptions{})
	return err
}
