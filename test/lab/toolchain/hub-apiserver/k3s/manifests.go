package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"
)

//go:embed packaged
var packaged embed.FS

// writePackaged puts the manifests of K3s' own, but for those that the device turned off.
func (d device) writePackaged() error {
	entries, err := packaged.ReadDir("packaged")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if slices.Contains(d.config["disable"], strings.TrimSuffix(entry.Name(), ".yaml")) {
			continue
		}
		data, err := packaged.ReadFile("packaged/" + entry.Name())
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(manifests, entry.Name()), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

//go:embed addons.yaml
var addonDefinition []byte

// addons is the resource by which K3s remembers what it has applied of a file.
var addons = schema.GroupVersionResource{Group: "k3s.cattle.io", Version: "v1", Resource: "addons"}

// owned names the Addon of an object, as the label objectset.rio.cattle.io/hash does in another form; kinds is where the
// Addon keeps which kinds it has made.
const (
	owned = "standin.k3s.cattle.io/addon"
	kinds = "addon.k3s.cattle.io/gvks"
)

// applier applies the manifests' folder. A file is looked at again when its time has changed, and applied again when its
// content is another one than its Addon remembers; then what it has no more is deleted. Nothing is deleted for a file that has
// gone, and its Addon stays. pkg/deploy/controller.go of v1.33.0+k3s1 and v1.36.2+k3s1 (listFilesIn, deploy). K3s looks
// every 15 s, and at its start applies everything.
type applier struct {
	client *dynamic.DynamicClient
	mapper *restmapper.DeferredDiscoveryRESTMapper
	seen   map[string]time.Time
}

// applyManifests looks at the folder until ctx ends.
func applyManifests(ctx context.Context) {
	config, err := clientcmd.BuildConfigFromFlags("", adminKubeconfig)
	if err != nil {
		fail(err)
	}
	a := applier{
		client: dynamic.NewForConfigOrDie(config),
		mapper: restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(discovery.NewDiscoveryClientForConfigOrDie(config))),
		seen:   map[string]time.Time{},
	}
	force := true
	for ctx.Err() == nil {
		err := a.applyAll(ctx, force)
		if err != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "manifests:", err)
			a.mapper.Reset()
		}
		force = force && err != nil
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (a *applier) applyAll(ctx context.Context, force bool) error {
	if force {
		if _, err := a.applyObjects(ctx, "", addonDefinition); err != nil {
			return err
		}
	}
	files, err := filepath.Glob(manifests + "/[^.]*.yaml")
	if err != nil {
		return err
	}
	sort.Strings(files)
	var failures []error
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil || (!force && info.ModTime().Equal(a.seen[file])) {
			continue
		}
		if err := a.deploy(ctx, file, force); err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", file, err))
		} else {
			a.seen[file] = info.ModTime()
		}
	}
	return errors.Join(failures...)
}

func (a *applier) deploy(ctx context.Context, file string, force bool) error {
	name, _, _ := strings.Cut(filepath.Base(file), ".")
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	sum := fmt.Sprintf("%x", sha256.Sum256(data))
	addon, err := a.client.Resource(addons).Namespace("kube-system").Get(ctx, name, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	before, known := map[string]string{}, ""
	if err == nil {
		before = addon.GetAnnotations()
		known, _, _ = unstructured.NestedString(addon.Object, "spec", "checksum")
	}
	if !force && known == sum {
		return nil
	}
	made, err := a.applyObjects(ctx, name, data)
	if err != nil {
		return err
	}
	if err := a.prune(ctx, name, made, strings.Fields(before[kinds])); err != nil {
		return err
	}
	return a.remember(ctx, name, file, sum, made)
}

func (a *applier) remember(ctx context.Context, name, file, sum string, made map[string][]string) error {
	addon := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "k3s.cattle.io/v1",
		"kind":       "Addon",
		"metadata": map[string]any{
			"name":        name,
			"namespace":   "kube-system",
			"annotations": map[string]any{kinds: strings.Join(slices.Sorted(maps.Keys(made)), " ")},
		},
		"spec": map[string]any{"source": file, "checksum": sum},
	}}
	_, err := a.client.Resource(addons).Namespace("kube-system").Apply(ctx, name, addon, metav1.ApplyOptions{FieldManager: "k3s", Force: true})
	return err
}

// prune deletes what an Addon made and has no more, of the kinds that it has now and had before.
func (a *applier) prune(ctx context.Context, name string, made map[string][]string, before []string) error {
	for _, kind := range append(slices.Collect(maps.Keys(made)), before...) {
		resource, _ := schema.ParseResourceArg(kind)
		if resource == nil {
			continue
		}
		objects, err := a.client.Resource(*resource).List(ctx, metav1.ListOptions{LabelSelector: owned + "=" + name})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return err
		}
		for _, object := range objects.Items {
			if slices.Contains(made[kind], object.GetNamespace()+"/"+object.GetName()) {
				continue
			}
			err := a.client.Resource(*resource).Namespace(object.GetNamespace()).Delete(ctx, object.GetName(), metav1.DeleteOptions{})
			if err != nil && !apierrors.IsNotFound(err) {
				return err
			}
		}
	}
	return nil
}

// applyObjects applies the objects of a file for an Addon. It returns their names by kind.
func (a *applier) applyObjects(ctx context.Context, addon string, data []byte) (map[string][]string, error) {
	made := map[string][]string{}
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return made, nil
		}
		if err != nil {
			return nil, err
		}
		var object unstructured.Unstructured
		if err := yaml.Unmarshal(document, &object.Object); err != nil {
			return nil, err
		}
		if object.Object == nil {
			continue
		}
		kind, err := a.applyObject(ctx, addon, &object)
		if err != nil {
			return nil, err
		}
		made[kind] = append(made[kind], object.GetNamespace()+"/"+object.GetName())
	}
}

func (a *applier) applyObject(ctx context.Context, addon string, object *unstructured.Unstructured) (string, error) {
	kind := object.GroupVersionKind()
	mapping, err := a.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return "", err
	}
	resource := dynamic.ResourceInterface(a.client.Resource(mapping.Resource))
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		resource = a.client.Resource(mapping.Resource).Namespace(object.GetNamespace())
	}
	if addon != "" {
		labels := object.GetLabels()
		if labels == nil {
			labels = map[string]string{}
		}
		labels[owned] = addon
		object.SetLabels(labels)
	}
	_, err = resource.Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: "k3s", Force: true})
	// As ParseResourceArg reads it: resource.version.group; of the core's the group is empty.
	return mapping.Resource.Resource + "." + mapping.Resource.Version + "." + mapping.Resource.Group, err
}
