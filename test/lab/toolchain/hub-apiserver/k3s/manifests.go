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
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
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

// applier applies the manifests' folder. It never deletes, as K3s: https://docs.k3s.io/installation/packaged-components
type applier struct {
	client  *dynamic.DynamicClient
	mapper  *restmapper.DeferredDiscoveryRESTMapper
	applied map[string][sha256.Size]byte
}

// applyManifests applies each file whenever its content changes, and again where the API refused it.
func applyManifests(ctx context.Context) {
	config, err := clientcmd.BuildConfigFromFlags("", adminKubeconfig)
	if err != nil {
		fail(err)
	}
	a := applier{
		client:  dynamic.NewForConfigOrDie(config),
		mapper:  restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(discovery.NewDiscoveryClientForConfigOrDie(config))),
		applied: map[string][sha256.Size]byte{},
	}
	for ctx.Err() == nil {
		if err := a.applyAll(ctx); err != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "manifests:", err)
			a.mapper.Reset()
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (a *applier) applyAll(ctx context.Context) error {
	files, err := filepath.Glob(manifests + "/*.yaml")
	if err != nil {
		return err
	}
	sort.Strings(files)
	var failures []error
	for _, file := range files {
		data, err := os.ReadFile(file)
		if sum := sha256.Sum256(data); err == nil && a.applied[file] != sum {
			if err = a.applyFile(ctx, data); err == nil {
				a.applied[file] = sum
			}
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", file, err))
		}
	}
	return errors.Join(failures...)
}

func (a *applier) applyFile(ctx context.Context, data []byte) error {
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var object unstructured.Unstructured
		if err := yaml.Unmarshal(document, &object.Object); err != nil {
			return err
		}
		if err := a.applyObject(ctx, &object); err != nil {
			return err
		}
	}
}

func (a *applier) applyObject(ctx context.Context, object *unstructured.Unstructured) error {
	kind := object.GroupVersionKind()
	mapping, err := a.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return err
	}
	resource := dynamic.ResourceInterface(a.client.Resource(mapping.Resource))
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		resource = a.client.Resource(mapping.Resource).Namespace(object.GetNamespace())
	}
	_, err = resource.Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: "k3s", Force: true})
	return err
}
