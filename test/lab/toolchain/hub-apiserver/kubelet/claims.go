package kubelet

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// The class of K3s' local-path provisioner, and where it puts volumes: manifests/local-storage.yaml of k3s-io/k3s.
const (
	storageClass  = "local-path"
	storageFolder = "/var/lib/rancher/k3s/storage"
)

// bindClaims makes a volume for each claim on the local-path class that a pod waits for. The cluster's own controller binds it.
func (r *Runner) bindClaims(ctx context.Context) error {
	claims, err := r.Admin.CoreV1().PersistentVolumeClaims("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range claims.Items {
		claim := &claims.Items[i]
		if claim.Status.Phase != corev1.ClaimPending || ptr.Deref(claim.Spec.StorageClassName, "") != storageClass {
			continue
		}
		if err := r.provision(ctx, claim); err != nil {
			return fmt.Errorf("claim %s/%s: %w", claim.Namespace, claim.Name, err)
		}
	}
	return nil
}

func (r *Runner) provision(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	name := "pvc-" + string(claim.UID)
	path := filepath.Join(storageFolder, fmt.Sprintf("%s_%s_%s", name, claim.Namespace, claim.Name))
	if err := os.MkdirAll(path, 0o777); err != nil {
		return err
	}
	if err := os.Chmod(path, 0o777); err != nil {
		return err
	}
	_, err := r.Admin.CoreV1().PersistentVolumes().Create(ctx, &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{
			StorageClassName: storageClass,
			AccessModes:      claim.Spec.AccessModes,
			Capacity:         corev1.ResourceList{corev1.ResourceStorage: claim.Spec.Resources.Requests[corev1.ResourceStorage]},
			ClaimRef: &corev1.ObjectReference{
				Kind: "PersistentVolumeClaim", APIVersion: "v1", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
			},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				HostPath: &corev1.HostPathVolumeSource{Path: path, Type: ptr.To(corev1.HostPathDirectoryOrCreate)},
			},
		},
	}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// claimed is the folder of the volume that a claim is bound to.
func (r *Runner) claimed(ctx context.Context, pod *corev1.Pod, name string) (string, error) {
	claim, err := r.Own.CoreV1().PersistentVolumeClaims(pod.Namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	if claim.Status.Phase != corev1.ClaimBound {
		return "", fmt.Errorf("claim %s is %s", name, claim.Status.Phase)
	}
	volume, err := r.Own.CoreV1().PersistentVolumes().Get(ctx, claim.Spec.VolumeName, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	switch source := volume.Spec; {
	case source.HostPath != nil:
		return source.HostPath.Path, nil
	case source.Local != nil:
		// A folder that is not there is not made: pkg/volume/local/local.go, getDevicePath.
		_, err := os.Stat(source.Local.Path)
		return source.Local.Path, err
	}
	return "", fmt.Errorf("volume %s is not a folder of the node", volume.Name)
}
