package kubelet

import (
	"context"
	"fmt"
	"maps"
	"regexp"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubernetes/pkg/api/v1/resource"
	"k8s.io/kubernetes/pkg/fieldpath"
	"k8s.io/kubernetes/pkg/kubelet/envvars"
	"k8s.io/kubernetes/third_party/forked/golang/expansion"
)

const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

var variable = regexp.MustCompile(`^[-._a-zA-Z][-._a-zA-Z0-9]*$`)

// environment is what a program finds: the image's, the services', what the pod names.
// pkg/kubelet/kubelet_pods.go, makeEnvironmentVariables
func (r *Runner) environment(ctx context.Context, pod *corev1.Pod, container *corev1.Container, image image) (map[string]string, error) {
	result := map[string]string{"PATH": path, "HOSTNAME": pod.Name}
	maps.Copy(result, image.Env)
	services := r.linked(pod)
	for _, source := range container.EnvFrom {
		if err := r.fromAll(ctx, pod.Namespace, source, result); err != nil {
			return nil, err
		}
	}
	for _, entry := range container.Env {
		if entry.ValueFrom == nil {
			result[entry.Name] = expansion.Expand(entry.Value, expansion.MappingFuncFor(result, services))
			continue
		}
		value, found, err := r.valueFrom(ctx, pod, container, entry.ValueFrom)
		if err != nil {
			return nil, err
		}
		if found {
			result[entry.Name] = value
		}
	}
	for name, value := range services {
		if _, named := result[name]; !named {
			result[name] = value
		}
	}
	return result, nil
}

// linked are the variables of the services: those of the API always, those of the pod's namespace unless it wants none.
func (r *Runner) linked(pod *corev1.Pod) map[string]string {
	var seen []*corev1.Service
	for _, service := range r.services {
		api := service.Namespace == metav1.NamespaceDefault && service.Name == "kubernetes"
		links := pod.Spec.EnableServiceLinks == nil || *pod.Spec.EnableServiceLinks
		headless := service.Spec.ClusterIP == corev1.ClusterIPNone || service.Spec.ClusterIP == ""
		if !headless && (api || (links && service.Namespace == pod.Namespace)) {
			seen = append(seen, service)
		}
	}
	result := map[string]string{}
	for _, entry := range envvars.FromServices(seen) {
		result[entry.Name] = entry.Value
	}
	return result
}

func (r *Runner) fromAll(ctx context.Context, namespace string, source corev1.EnvFromSource, result map[string]string) error {
	data := map[string]string{}
	var err error
	var optional *bool
	if from := source.ConfigMapRef; from != nil {
		var object *corev1.ConfigMap
		object, err = r.Own.CoreV1().ConfigMaps(namespace).Get(ctx, from.Name, metav1.GetOptions{})
		if err == nil {
			data = object.Data
		}
		optional = from.Optional
	}
	if from := source.SecretRef; from != nil {
		var object *corev1.Secret
		object, err = r.Own.CoreV1().Secrets(namespace).Get(ctx, from.Name, metav1.GetOptions{})
		if err == nil {
			for name, value := range object.Data {
				data[name] = string(value)
			}
		}
		optional = from.Optional
	}
	if apierrors.IsNotFound(err) && optional != nil && *optional {
		return nil
	}
	for name, value := range data {
		if variable.MatchString(source.Prefix + name) {
			result[source.Prefix+name] = value
		}
	}
	return err
}

// valueFrom says whether there is a value: what is optional may be absent.
func (r *Runner) valueFrom(ctx context.Context, pod *corev1.Pod, container *corev1.Container, source *corev1.EnvVarSource) (string, bool, error) {
	switch {
	case source.FieldRef != nil:
		value, err := fieldOf(pod, source.FieldRef.FieldPath)
		return value, true, err
	case source.ResourceFieldRef != nil:
		from := container
		if name := source.ResourceFieldRef.ContainerName; name != "" && name != container.Name {
			value, err := resource.ExtractResourceValueByContainerName(source.ResourceFieldRef, pod, name)
			return value, true, err
		}
		value, err := resource.ExtractContainerResourceValue(source.ResourceFieldRef, from)
		return value, true, err
	case source.ConfigMapKeyRef != nil:
		from := source.ConfigMapKeyRef
		object, err := r.Own.CoreV1().ConfigMaps(pod.Namespace).Get(ctx, from.Name, metav1.GetOptions{})
		if err != nil {
			return "", false, unlessOptional(err, from.Optional)
		}
		value, found := object.Data[from.Key]
		return value, found, missingKey(found, from.Optional, "ConfigMap", from.Name, from.Key)
	case source.SecretKeyRef != nil:
		from := source.SecretKeyRef
		object, err := r.Own.CoreV1().Secrets(pod.Namespace).Get(ctx, from.Name, metav1.GetOptions{})
		if err != nil {
			return "", false, unlessOptional(err, from.Optional)
		}
		value, found := object.Data[from.Key]
		return string(value), found, missingKey(found, from.Optional, "Secret", from.Name, from.Key)
	}
	return "", false, fmt.Errorf("the stand-in does not take a variable from %v", source)
}

func fieldOf(pod *corev1.Pod, field string) (string, error) {
	switch field {
	case "spec.nodeName":
		return pod.Spec.NodeName, nil
	case "spec.serviceAccountName":
		return pod.Spec.ServiceAccountName, nil
	case "status.hostIP", "status.hostIPs":
		return pod.Status.HostIP, nil
	case "status.podIP", "status.podIPs":
		return pod.Status.PodIP, nil
	}
	return fieldpath.ExtractFieldPathAsString(pod, field)
}

func unlessOptional(err error, optional *bool) error {
	if apierrors.IsNotFound(err) && optional != nil && *optional {
		return nil
	}
	return err
}

func missingKey(found bool, optional *bool, kind, name, key string) error {
	if found || (optional != nil && *optional) {
		return nil
	}
	return fmt.Errorf("couldn't find key %s in %s %s", key, kind, name)
}
