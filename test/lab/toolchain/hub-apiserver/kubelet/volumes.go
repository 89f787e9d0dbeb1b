package kubelet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubernetes/pkg/api/v1/resource"
	"k8s.io/kubernetes/pkg/volume/configmap"
	"k8s.io/kubernetes/pkg/volume/secret"
	volumeutil "k8s.io/kubernetes/pkg/volume/util"
)

type payload = map[string]volumeutil.FileProjection

func volumeFolder(pod *corev1.Pod, name string) string {
	return filepath.Join(podFolder, string(pod.UID), "volumes", name)
}

// keepVolumes makes the volumes of a pod, and from time to time brings those up to date that the API fills.
func (r *Runner) keepVolumes(ctx context.Context, pod *corev1.Pod) error {
	uid := string(pod.UID)
	if time.Since(r.volumes[uid]) < refreshEvery {
		return nil
	}
	for i := range pod.Spec.Volumes {
		if err := r.keepVolume(ctx, pod, &pod.Spec.Volumes[i]); err != nil {
			return fmt.Errorf("MountVolume.SetUp failed for volume %q: %w", pod.Spec.Volumes[i].Name, err)
		}
	}
	r.volumes[uid] = time.Now()
	return nil
}

func (r *Runner) keepVolume(ctx context.Context, pod *corev1.Pod, volume *corev1.Volume) error {
	folder := volumeFolder(pod, volume.Name)
	switch {
	case volume.HostPath != nil:
		return keepHostPath(volume.HostPath)
	case volume.PersistentVolumeClaim != nil:
		path, err := r.claimed(ctx, pod, volume.PersistentVolumeClaim.ClaimName)
		if err != nil {
			return err
		}
		return own(path, pod, 0o770)
	case volume.EmptyDir != nil:
		if _, err := os.Stat(folder); err == nil {
			return nil
		}
		if err := os.MkdirAll(folder, 0o777); err != nil {
			return err
		}
		return errors.Join(os.Chmod(folder, 0o777), own(folder, pod, 0o777))
	}
	files, err := r.payloadOf(ctx, pod, volume)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	writer, err := volumeutil.NewAtomicWriter(folder, volume.Name)
	if err != nil {
		return err
	}
	return writer.Write(files, func(sub string) error { return own(filepath.Join(folder, sub), pod, 0o440) })
}

// payloadOf is the content of a volume that the API fills, made by the kubelet's own functions.
func (r *Runner) payloadOf(ctx context.Context, pod *corev1.Pod, volume *corev1.Volume) (payload, error) {
	switch {
	case volume.ConfigMap != nil:
		from := volume.ConfigMap
		return r.configMap(ctx, pod, from.Name, from.Items, from.DefaultMode, from.Optional)
	case volume.Secret != nil:
		from := volume.Secret
		return r.secret(ctx, pod, from.SecretName, from.Items, from.DefaultMode, from.Optional)
	case volume.DownwardAPI != nil:
		return downward(pod, volume.DownwardAPI.Items, *volume.DownwardAPI.DefaultMode)
	case volume.Projected != nil:
		return r.projected(ctx, pod, volume)
	}
	return nil, fmt.Errorf("the stand-in has no volumes of this kind")
}

func (r *Runner) configMap(ctx context.Context, pod *corev1.Pod, name string, items []corev1.KeyToPath, mode *int32, optional *bool) (payload, error) {
	may := optional != nil && *optional
	object, err := r.Own.CoreV1().ConfigMaps(pod.Namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		if unlessOptional(err, optional) != nil {
			return nil, err
		}
		object = &corev1.ConfigMap{}
	}
	return configmap.MakePayload(items, object, mode, may)
}

func (r *Runner) secret(ctx context.Context, pod *corev1.Pod, name string, items []corev1.KeyToPath, mode *int32, optional *bool) (payload, error) {
	may := optional != nil && *optional
	object, err := r.Own.CoreV1().Secrets(pod.Namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		if unlessOptional(err, optional) != nil {
			return nil, err
		}
		object = &corev1.Secret{}
	}
	return secret.MakePayload(items, object, mode, may)
}

func downward(pod *corev1.Pod, items []corev1.DownwardAPIVolumeFile, mode int32) (payload, error) {
	files := payload{}
	for _, item := range items {
		var value string
		var err error
		if item.FieldRef != nil {
			value, err = fieldOf(pod, item.FieldRef.FieldPath)
		} else {
			value, err = resource.ExtractResourceValueByContainerName(item.ResourceFieldRef, pod, item.ResourceFieldRef.ContainerName)
		}
		if err != nil {
			return nil, err
		}
		own := mode
		if item.Mode != nil {
			own = *item.Mode
		}
		files[item.Path] = volumeutil.FileProjection{Data: []byte(value), Mode: own}
	}
	return files, nil
}

func (r *Runner) projected(ctx context.Context, pod *corev1.Pod, volume *corev1.Volume) (payload, error) {
	all := payload{}
	mode := volume.Projected.DefaultMode
	for _, source := range volume.Projected.Sources {
		var files payload
		var err error
		switch {
		case source.ConfigMap != nil:
			files, err = r.configMap(ctx, pod, source.ConfigMap.Name, source.ConfigMap.Items, mode, source.ConfigMap.Optional)
		case source.Secret != nil:
			files, err = r.secret(ctx, pod, source.Secret.Name, source.Secret.Items, mode, source.Secret.Optional)
		case source.DownwardAPI != nil:
			files, err = downward(pod, source.DownwardAPI.Items, *mode)
		case source.ServiceAccountToken != nil:
			files, err = r.token(ctx, pod, volume.Name, source.ServiceAccountToken, *mode)
		default:
			err = errors.New("the stand-in has no projection of this kind")
		}
		if err != nil {
			return nil, err
		}
		for path, file := range files {
			all[path] = file
		}
	}
	return all, nil
}

// token asks for a token of the pod's service account as a kubelet does, and again when most of its time is over.
func (r *Runner) token(ctx context.Context, pod *corev1.Pod, volume string, source *corev1.ServiceAccountTokenProjection, mode int32) (payload, error) {
	key := string(pod.UID) + "/" + volume
	lifetime := time.Duration(*source.ExpirationSeconds) * time.Second
	if since := time.Since(r.issued[key]); since < lifetime*8/10 {
		if data, err := os.ReadFile(filepath.Join(volumeFolder(pod, volume), source.Path)); err == nil {
			return payload{source.Path: {Data: data, Mode: mode}}, nil
		}
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: source.ExpirationSeconds,
		BoundObjectRef:    &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: pod.Name, UID: pod.UID},
	}}
	if source.Audience != "" {
		request.Spec.Audiences = []string{source.Audience}
	}
	answer, err := r.Own.CoreV1().ServiceAccounts(pod.Namespace).CreateToken(ctx, pod.Spec.ServiceAccountName, request, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	r.issued[key] = time.Now()
	return payload{source.Path: {Data: []byte(answer.Status.Token), Mode: mode}}, nil
}

func keepHostPath(source *corev1.HostPathVolumeSource) error {
	kind := corev1.HostPathUnset
	if source.Type != nil {
		kind = *source.Type
	}
	switch kind {
	case corev1.HostPathDirectoryOrCreate:
		return os.MkdirAll(source.Path, 0o755)
	case corev1.HostPathFileOrCreate:
		file, err := os.OpenFile(source.Path, os.O_CREATE, 0o644)
		if err != nil {
			return err
		}
		return file.Close()
	}
	status, err := os.Stat(source.Path)
	if err == nil && kind == corev1.HostPathDirectory && !status.IsDir() {
		return fmt.Errorf("hostPath type check failed: %s is not a directory", source.Path)
	}
	return err
}

// own gives a volume to the pod's fsGroup: pkg/volume/volume_linux.go, changeFilePermission.
func own(path string, pod *corev1.Pod, mode fs.FileMode) error {
	context := pod.Spec.SecurityContext
	if context == nil || context.FSGroup == nil {
		return nil
	}
	return filepath.WalkDir(path, func(entry string, found fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := os.Lchown(entry, -1, int(*context.FSGroup)); err != nil || found.Type()&fs.ModeSymlink != 0 {
			return err
		}
		status, err := found.Info()
		if err != nil {
			return err
		}
		if found.IsDir() {
			return os.Chmod(entry, status.Mode().Perm()|mode&0o070|0o050|fs.ModeSetgid)
		}
		return os.Chmod(entry, status.Mode().Perm()|mode&0o060)
	})
}

func readOnlyVolume(pod *corev1.Pod, name string) bool {
	for _, volume := range pod.Spec.Volumes {
		if volume.Name == name {
			return volume.ConfigMap != nil || volume.Secret != nil || volume.Projected != nil || volume.DownwardAPI != nil
		}
	}
	return false
}

// source is what is mounted at a place.
func (r *Runner) source(pod *corev1.Pod, mount corev1.VolumeMount) (string, error) {
	base := volumeFolder(pod, mount.Name)
	for _, volume := range pod.Spec.Volumes {
		if volume.Name != mount.Name {
			continue
		}
		if volume.HostPath != nil {
			base = volume.HostPath.Path
		}
		if volume.PersistentVolumeClaim != nil {
			path, err := r.claimed(context.Background(), pod, volume.PersistentVolumeClaim.ClaimName)
			if err != nil {
				return "", err
			}
			base = path
		}
	}
	if mount.SubPath == "" {
		return base, nil
	}
	path := filepath.Join(base, mount.SubPath)
	if _, err := os.Stat(path); err != nil {
		return path, os.MkdirAll(path, 0o755)
	}
	return path, nil
}
